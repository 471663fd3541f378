"""`python -m platform.inspect`: say before training whether a pool can teach, and show its rows."""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

# this folder is on sys.path, as after `python platform/score.py`: give what was meant
if __name__ == "inspect":
    _meant = PathFinder.find_spec(__name__, [os.path.dirname(os.__file__)])
    sys.modules[__name__] = module_from_spec(_meant)
    _meant.loader.exec_module(sys.modules[__name__])

from dfkd import cli  # below that: what it imports needs the module that was meant


def main(output: cli.Output) -> None:
    parser = cli.parser(
        "inspect", str(__doc__), "python -m platform.inspect digits --set selection.ratio=0.2"
    )
    cli.add_recipe(parser)
    cli.add_compute(parser)
    arguments = parser.parse_args()

    from dfkd.execution.preparing import prepared_cell
    from dfkd.inspection.driver import inspect

    cell = cli.cell_of(arguments)
    compute, console = cli.compute_and_console(arguments, output)
    with prepared_cell(cell, compute, console) as prepared:
        page = inspect(
            cell, arguments.recipe or arguments.run or "digits", prepared, compute, console
        )
    console.document.wrote(page)
    folder, name = page.rsplit("/", 1)
    console.line(f"written to {folder}: {name} (open it in a browser), classes.csv, duplicates.csv")
    console.line(f"next:  python -m platform.distill {cli.arguments_of(arguments)}")


if __name__ == "__main__":
    cli.run(main)
