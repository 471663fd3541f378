"""`python -m platform.show`: list what a storage holds, or show one cell and how to compute it."""

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser("show", str(__doc__), "python -m platform.show 3f9a1c")
    parser.add_argument(
        "cell",
        nargs="?",
        help="the cell's name in the ledger, or the beginning of it; without it: all that the "
        "storage holds",
    )
    arguments = parser.parse_args()

    from dfkd.runs.finding import find_cell, nearest_cells
    from dfkd.runs.listing import print_listing
    from dfkd.runs.terminal import print_cell

    storage, console = cli.storage_and_console(arguments, output)
    if arguments.cell is None:
        return print_listing(storage, console)
    cell = find_cell(arguments.cell, storage)
    if cell is None:
        raise ValueError(
            f"there is no cell {arguments.cell!r} in {storage}: give its name or at least 4 "
            "characters of its beginning, as in a report's table of cells or MLflow's tag cell_key "
            f"({nearest_cells(arguments.cell, storage)})"
        )
    print_cell(cell, storage, console)


if __name__ == "__main__":
    cli.run(main)
