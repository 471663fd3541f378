# `python -m platform` describes the machine, as without this folder: the standard library's code,
# run as `__main__`.
import os
from importlib.machinery import PathFinder

_stdlib = PathFinder.find_spec("platform", [os.path.dirname(os.__file__)])
exec(_stdlib.loader.get_code("platform"))
