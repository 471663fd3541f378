"""`python -m platform.teach`: train a recipe's teacher or check a given one, and say how good."""

from dfkd import cli

EXAMPLE = """python -m platform.teach digits
  python -m platform.teach my_project.my_recipe      # a module with `experiment = Experiment(...)`
  python -m platform.teach digits --set teacher=teacher_file teacher.path=mine.pt \\
      teacher.network=small_res_net \\
    teacher.network.width=16 task=labelled_folder task.path=photographs task.image_shape=32,32,1"""


def main(output: cli.Output) -> None:
    parser = cli.parser("teach", str(__doc__), EXAMPLE)
    cli.add_recipe(parser)
    arguments = parser.parse_args()

    from dfkd.runs.teacher import print_teacher
    from dfkd.seeding import use_deterministic
    from dfkd.storage import layout
    from dfkd.training.inputs import check

    cell = cli.cell_of(arguments)
    storage, console = cli.storage_and_console(arguments, output)
    check(cell, storage)
    use_deterministic(1)
    with console.step("teacher"):
        teacher = cell.experiment.teacher.obtain(cell.experiment.task, storage, cell.block.teacher)
    print_teacher(teacher, cell, storage, console)
    trained = cell.experiment.teacher.trained_here
    if trained:
        console.document.wrote(storage.address(layout.TEACHERS))
    console.line(
        f"teacher {teacher.digest[:12]}"
        + (f" written to {storage.address(layout.TEACHERS)}" if trained else "")
    )
    console.line(f"next:  python -m platform.score {cli.arguments_of(arguments)}")


if __name__ == "__main__":
    cli.run(main)
