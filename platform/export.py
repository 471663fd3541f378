"""`python -m platform.export`: hand over a student: files in three formats, checked, and a card."""

from pathlib import Path

from dfkd import cli


def main(output: cli.Output) -> None:
    parser = cli.parser("export", str(__doc__), "python -m platform.export 3f9a1c --out my-student")
    parser.add_argument(
        "cell",
        help="the cell's name in the ledger, or the beginning of it; or a run's id in MLflow",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the folder to write (default: one named after the cell in the storage)",
    )
    cli.add_module(parser)
    parser.add_argument(
        "--threads", type=int, default=1, help="with which speed is measured (default: 1)"
    )
    parser.add_argument(
        "--tracking-uri",
        help="MLflow server that knows the run (default: the one of platform.distill)",
    )
    arguments = parser.parse_args()
    if arguments.threads < 1:
        raise ValueError(f"--threads must be 1 or more, but got {arguments.threads}")

    import torch

    from dfkd.export.handover import export, student_of
    from dfkd.runs.finding import find_outcome
    from dfkd.storage import FolderStorage, layout
    from dfkd.storage.variables import expanded

    storage, console = cli.storage_and_console(arguments, output)
    torch.set_num_threads(arguments.threads)
    outcome = find_outcome(arguments.cell, storage, arguments.tracking_uri)
    student = student_of(outcome, storage, arguments.module)
    target = storage.below(layout.export(outcome.cell))
    if arguments.out is not None:
        target = FolderStorage(expanded(arguments.out).absolute())
    export(student, outcome, storage, target, console)


if __name__ == "__main__":
    cli.run(main)
