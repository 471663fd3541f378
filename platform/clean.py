"""`python -m platform.clean`: say what nothing in the storage refers to; `--remove` removes it."""

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser("clean", str(__doc__), "python -m platform.clean --older-than 72")
    parser.add_argument(
        "--remove", action="store_true", help="remove what is shown; without it nothing is changed"
    )
    parser.add_argument("--paths", action="store_true", help="name each thing, below the table")
    parser.add_argument(
        "--older-than",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="leave alone what was written since: a pool may just have been scored for a study "
        "(default: 24)",
    )
    arguments = parser.parse_args()
    if not arguments.older_than >= 0:
        raise ValueError(f"--older-than must be 0 hours or more, but got {arguments.older_than}")

    from dfkd.cleaning.terminal import clean

    storage, console = cli.storage_and_console(arguments, output)
    clean(storage, arguments.older_than, arguments.remove, arguments.paths, console)


if __name__ == "__main__":
    cli.run(main)
