"""`python -m platform.compare`: show finished studies and sweeps as table, page, LaTeX and CSV."""

import argparse

from dfkd import cli


def _arguments() -> argparse.Namespace:
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
        help="read from this MLflow server instead of the storage, to which the report is "
        "written all the same",
    )
    parser.add_argument(
        "--no-log", action="store_true", help="do not log the report to the run in MLflow"
    )
    cli.add_module(parser)
    cli.add_note(parser)
    own = parser.add_argument_group("results from elsewhere")
    own.add_argument(
        "--from",
        dest="source",
        metavar="FILE.csv",
        help="a table with the columns variant, block (or seed) and a metric, the more the better; "
        "or mlflow:EXPERIMENT, whose runs have these as params, tags and metrics",
    )
    own.add_argument("--variant", default="variant", help="its column (default: variant)")
    own.add_argument("--block", default="", help="its column (default: block, seed or fold)")
    own.add_argument("--metric", default="", help="its column (default: the only other one)")
    own.add_argument("--baseline", default="", help="the variant that is it (default: the first)")
    return parser.parse_args()


def main(output: cli.Output) -> None:
    arguments = _arguments()

    from dfkd.comparison.comparing import compare, compare_own
    from dfkd.comparison.own_results import Columns
    from dfkd.user_modules import load

    storage, console = cli.storage_and_console(arguments, output)
    if arguments.source is not None:
        if arguments.names:
            raise ValueError("name studies, or results with --from, not both")
        names = ("variant", "block", "metric", "baseline")
        columns = Columns(**{name: getattr(arguments, name) for name in names})
        return compare_own(arguments.source, columns, storage, arguments.tracking_uri, console)
    for module in arguments.module:
        load(module, "__name__", "ablations")
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
