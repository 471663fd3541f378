"""Small trees of image files, one subfolder per class, as labelled folders have them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dfkd.data.tasks import LabelledFolder
from dfkd.data.tasks.labelled_files import files_in

CLASSES = ("bird", "cat", "dog")
KNOWN: dict[str, Any] = {"mean": (0.5,), "std": (0.25,)}


def write_tree(
    root: Path,
    classes: tuple[str, ...],
    each: int = 3,
    side: int = 16,
    channels: int = 1,
    seed: int = 0,
) -> Path:
    """Write `each` images per class, noise around a grey of its own, and return the root.

    They are PNG, so that they are read as they were written.
    """
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(each):
            grey = 20 + 200 * label / max(len(classes) - 1, 1)
            pixels = np.clip(rng.normal(grey, 12, (side, side, channels)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels).save(
                root / name / f"{i:03d}.png"
            )
    return root


def labelled(root: Path, **fields: Any) -> LabelledFolder:
    """The task of a folder as another process would read it."""
    files_in.cache_clear()
    return LabelledFolder(path=str(root), **{"image_shape": (16, 16, 1), **KNOWN, **fields})
