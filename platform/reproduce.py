"""`python -m platform.reproduce`: compute the published tables, beside what was published."""

import argparse
from pathlib import Path

from dfkd import cli

TABLES = "cifar10, cifar100, imagenet, fashion, digits"


def _arguments() -> argparse.Namespace:
    parser = cli.parser(
        "reproduce", str(__doc__), "python -m platform.reproduce digits --scale small --blocks 3"
    )
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"{TABLES}; without any argument: what they are"
    )
    parser.add_argument(
        "--scale",
        choices=("smoke", "small", "paper"),
        help="smoke: every row, tiny, on files that it makes itself, no result; small: a real "
        "study on two cores (fashion, digits); paper: the paper's budget",
    )
    parser.add_argument("--blocks", type=int, help="blocks instead of the table's own number")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what it would cost, compute nothing"
    )
    parser.add_argument(
        "--results",
        nargs="?",
        type=Path,
        const=Path("RESULTS.md"),
        metavar="FILE",
        help="write all tables from the ledger, with what was not run, and compute nothing "
        "(default: RESULTS.md)",
    )
    files = parser.add_argument_group("files, for --scale paper")
    files.add_argument("--data", default="", help="folder of CIFAR's binary files, or of ImageNet")
    files.add_argument("--pool", default="", help="folder of unlabelled images, or of Parquet")
    files.add_argument("--teachers", default="", help="folder with resnet34.safetensors and so on")
    files.add_argument(
        "--price", type=float, help="of a device hour, to say what it costs in money"
    )
    cli.add_compute(parser)
    cli.add_accept(parser)
    return parser.parse_args()


def main(output: cli.Output) -> None:
    arguments = _arguments()
    if arguments.tables and arguments.scale is None:
        raise ValueError("say how large: --scale smoke, --scale small or --scale paper")
    if arguments.tables and arguments.results:
        raise ValueError("name tables to compute, or --results to write what there is, not both")

    from dfkd.reproduction.table import Files
    from dfkd.reproduction.tables import check_scale, table_of
    from dfkd.reproduction.terminal import print_tables, write_results

    compute, console = cli.compute_and_console(arguments, output)
    if arguments.results:
        return write_results(arguments.results, compute.storage, console)
    if not arguments.tables:
        return print_tables(console)
    tables = [table_of(name) for name in arguments.tables]
    named = Files(data=arguments.data, pool=arguments.pool, teachers=arguments.teachers)
    if named != Files() and len(tables) > 1:
        raise ValueError("--data, --pool and --teachers are those of one table: name one")
    for table in tables:
        check_scale(table, arguments.scale)
    for table in tables:
        _run(table, named, arguments, compute, console)


def _run(table, named, arguments, compute, console) -> None:
    """Say what a table costs, and compute what is missing of it."""
    from dfkd.reproduction.driver import files_for, reproduce
    from dfkd.reproduction.table import PAPER
    from dfkd.reproduction.terminal import print_cost, print_plans, print_results

    scale = arguments.scale
    if scale == PAPER:
        studies = table.studies(PAPER, named, arguments.blocks)
        print_cost(table, studies.values(), arguments.price, console)
        if arguments.dry_run:
            return
    files = files_for(table, scale, named, compute.storage)
    studies = table.studies(scale, files, arguments.blocks)
    if arguments.dry_run:
        return print_plans(studies, arguments.price, compute, console)
    results = reproduce(table, scale, studies, compute, console)
    print_results(table, scale, results, compute, console)


if __name__ == "__main__":
    cli.run(main)
