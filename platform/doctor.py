"""`python -m platform.doctor`: look this machine or cluster over, in about a minute."""

import errno

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser("doctor", str(__doc__), "python -m platform.doctor --storage /shared/runs")
    parser.add_argument(
        "--tracking-uri",
        help="MLflow server (default: $MLFLOW_TRACKING_URI, else a database in the storage folder)",
    )
    arguments = parser.parse_args()

    from dfkd.doctor.examination import examine
    from dfkd.execution.compute import Compute

    storage, console = cli.storage_and_console(arguments, output)
    count, wrong = 0, 0
    for finding in examine(Compute(storage=storage), arguments.tracking_uri):
        console.document.add("findings", finding)
        console.line(f"{finding.state:<8}{finding.check}: {finding.line()}")
        count, wrong = count + 1, wrong + bool(finding.mend)
    if wrong:
        raise OSError(errno.EIO, f"{wrong} of {count} findings are broken: mend them as it is said")
    console.line(f"all is well: {count} findings")


if __name__ == "__main__":
    cli.run(main)
