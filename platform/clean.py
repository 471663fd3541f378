"""`python -m platform.clean`: say what nothing refers to, or what a study has; `--remove` it."""

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
    named = parser.add_mutually_exclusive_group()
    for kind in ("study", "sweep"):
        named.add_argument(
            f"--{kind}",
            metavar="NAME",
            help=f"instead: this {kind}, with the cells that nothing else uses",
        )
    arguments = parser.parse_args()
    if not arguments.older_than >= 0:
        raise ValueError(f"--older-than must be 0 hours or more, but got {arguments.older_than}")

    from dfkd.cleaning.terminal import clean
    from dfkd.runs.removing import remove_by_name

    storage, console = cli.storage_and_console(arguments, output)
    for kind in ("study", "sweep"):
        if name := getattr(arguments, kind):
            return remove_by_name(kind, name, storage, arguments.remove, console)
    clean(storage, arguments.older_than, arguments.remove, arguments.paths, console)


if __name__ == "__main__":
    cli.run(main)
