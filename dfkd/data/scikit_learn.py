"""Files that come with scikit-learn, found without importing it.

The import takes more than a second, in each process that reads the embedded task or pool.
"""

from importlib.util import find_spec
from pathlib import Path


def file_of(*parts: str) -> Path:
    """Return the path of a file in scikit-learn's package, its folders first.

    Raises ValueError where this version of scikit-learn has none there.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ValueError("scikit-learn is not installed: pip install scikit-learn")
    path = Path(spec.origin).parent.joinpath(*parts)
    if not path.is_file():
        raise ValueError(
            f"scikit-learn must bring {'/'.join(parts)} along, but got no {path}; install version "
            "1.5 or later"
        )
    return path
