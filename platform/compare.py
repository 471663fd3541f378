"""`python -m platform.compare`: what finished studies say, as a table, a web page, Markdown, LaTeX and CSV."""

from dfkd import cli


def main() -> None:
    parser = cli.parser("compare", str(__doc__), "python -m platform.compare components")
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="names of studies (default: all in the storage)")
    parser.add_argument(
        "--tracking-uri",
        default=None,
        help="read from this MLflow server instead of the storage; the report is written to the storage all the same",
    )
    parser.add_argument("--no-log", action="store_true", help="do not log the report to the study's run in MLflow")
    arguments = parser.parse_args()

    from dfkd.console import Console
    from dfkd.evidence.findings import find
    from dfkd.reports import log_report, read_study, show_findings, write_report
    from dfkd.studies import folder_of, recorded
    from dfkd.tracking import Tracker

    storage, console = cli.storage_folder(arguments.storage), Console()
    names = arguments.studies or recorded(storage)
    if not names:
        raise ValueError(f"there is no study in {storage}: run one with python -m platform.ablate, or name --storage")
    tracker = Tracker(storage, arguments.tracking_uri, warn=console.warn)
    for name in names:
        findings = find(read_study(name.split(".")[-1], storage, arguments.tracking_uri))
        show_findings(findings, console)
        files, changed = write_report(findings, storage)
        if changed and not arguments.no_log:
            log_report(findings, files, tracker)
        console.line(f"{'written to' if changed else 'unchanged:'} {folder_of(storage, findings.data.name) / 'report'}")
        console.line(f"open:  {folder_of(storage, findings.data.name) / 'report' / 'index.html'}\n")
    tracker.close()
    cell = findings.data.cells["cell"].iloc[0]
    console.line(f"next:  python -m platform.show {cell}    one cell: its record, its curve, how to compute it again")


if __name__ == "__main__":
    cli.run(main)
