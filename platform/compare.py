"""`python -m platform.compare`: show finished studies and sweeps as table, page, LaTeX and CSV."""

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser("compare", str(__doc__), "python -m platform.compare components")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="studies, and sweeps as they are named in storage and MLflow (default: all); of "
        "several also an overview",
    )
    parser.add_argument(
        "--tracking-uri",
        default=None,
        help="read from this MLflow server instead of the storage, to which the report is "
        "written all the same",
    )
    parser.add_argument(
        "--no-log", action="store_true", help="do not log the report to the run in MLflow"
    )
    cli.add_note(parser)
    arguments = parser.parse_args()

    from dfkd.comparison.comparing import compare

    storage, console = cli.storage_and_console(arguments, output)
    compare(
        arguments.names,
        storage,
        arguments.tracking_uri,
        log=not arguments.no_log,
        note=arguments.note,
        tags=arguments.tag,
        console=console,
    )


if __name__ == "__main__":
    cli.run(main)
