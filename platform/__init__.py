# The commands `python -m platform.<command>`, in a package that is the standard library's
# `platform` as well.
#
# Run from a checkout, this folder comes before the standard library, whose `platform` numpy,
# torch, ray and even `uuid` import. So the standard library's own code is executed here, in this
# namespace: private names, which others do use, are there too, and pickles of its objects fit. No
# docstring: the executed code brings its own. An installed copy works the other way round
# (_start_up.py). Nothing but commands may live here: a process that has imported the standard
# module already (pytest, a Ray worker) cannot find what this folder holds.
import os
from importlib.machinery import PathFinder

_stdlib = PathFinder.find_spec("platform", [os.path.dirname(os.__file__)])
exec(_stdlib.loader.get_code("platform"))  # get_code: the compiled file that Python keeps anyway
