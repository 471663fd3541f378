"""`python -m platform.teach`: train the teacher of a recipe, or check the one that it names, and say how good it is."""

from dfkd import cli


def main() -> None:
    parser = cli.parser("teach", str(__doc__), "python -m platform.teach digits")
    cli.add_recipe(parser)
    arguments = parser.parse_args()

    from dfkd.console import Console
    from dfkd.models.teachers import accuracy
    from dfkd.randomness import use_deterministic
    from dfkd.sources import check

    cell, storage, console = cli.cell_of(arguments), cli.storage_folder(arguments.storage), Console()
    check(cell, storage)
    use_deterministic(1)
    task = cell.experiment.task
    with console.step("teacher"):
        teacher = cell.experiment.teacher.obtain(task, storage, cell.block.teacher)
    splits = {"validation": task.validation(), "test": task.test()}
    for name, split in splits.items():
        if split is not None:
            console.line(f"{name} accuracy: {100 * accuracy(teacher.build(task), split, task):.1f} %, n {len(split)}")
    console.line(f"teacher {teacher.digest[:12]} written to {storage / 'teachers'}")
    console.line(f"next:  python -m platform.score {cli.arguments_of(arguments)}")


if __name__ == "__main__":
    cli.run(main)
