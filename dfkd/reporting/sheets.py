"""Contact sheets: images that a selection chose, by what the teacher saw in them.

N selected rows, H height, W width, C channels, K classes. Images are kept as PNG bytes.
"""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.pools.pool_images import PoolImages
from dfkd.reporting.page import listed, paragraph
from dfkd.scores import Scores

LARGEST = 64  # pixels a side on the page
MOST_CLASSES = 20  # on a sheet; of more, this many spread evenly
# by the teacher's confidence, among the selected rows of a pseudo-class
PLACES = ("most", "middle", "least")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One selected image, with the teacher's confidence in its pseudo-class."""

    png: bytes
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The rows that some variants have selected alike.

    pictures: by pseudo-class those at PLACES, fewer where there are few rows. counts: selected rows
    of every pseudo-class.
    """

    variants: tuple[str, ...]
    rows: int
    of_rows: int
    pictures: Mapping[int, Sequence[Picture]]
    counts: Mapping[int, int]  # selected rows of every pseudo-class


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The sheets of a study.

    block: whose selection is shown. absent: in one line, why there are no sheets, or not for all
    variants.
    """

    sheets: tuple[Sheet, ...] = ()
    block: str = ""
    absent: str = ""


NO_IMAGES = Selected()


def html(selected: Selected) -> str:
    """Return the content of a page's section."""
    notes = listed([selected.absent]) if selected.absent else ""
    if not selected.sheets:
        return notes
    classes = max(len(sheet.counts) for sheet in selected.sheets)
    some = (
        ""
        if classes <= MOST_CLASSES
        else f" {MOST_CLASSES} of {classes} pseudo-classes, evenly spread."
    )
    say = (
        f"Block {selected.block}. For each pseudo-class the selected image of which the teacher is "
        "most sure, the one in the middle and the one of which it is least sure; below each its "
        f"confidence in that class.{some} What does not look like its class is what the dropping "
        "of classes and the losses have to live with."
    )
    return paragraph(say) + "".join(_sheet(sheet) for sheet in selected.sheets) + notes


def _sheet(sheet: Sheet) -> str:
    sizes = sorted(sheet.counts.values())
    title = f"{', '.join(sheet.variants)}: {sheet.rows:,} of {sheet.of_rows:,} rows"
    spread = f"; per pseudo-class {sizes[0]:,} to {sizes[-1]:,}" if sizes else ""
    return titled(title + spread, sheet)


def titled(title: str, sheet: Sheet) -> str:
    """Return a sheet below its title: a column for each pseudo-class that it shows."""
    columns = "".join(column(label, pictures) for label, pictures in sheet.pictures.items())
    return f'<h3>{escape(title)}</h3>\n<div class="sheet">{columns}</div>\n'


def column(label: int | str, pictures: Sequence[Picture]) -> str:
    """Return the pictures of a pseudo-class, or of what the label names, one below the other."""
    what = label if isinstance(label, str) else f"taken for class {label}"
    shown = "".join(_picture(what, picture) for picture in pictures) or '<p class="none">none</p>'
    return f'<div class="class"><p class="label">{escape(str(label))}</p>{shown}</div>'


def _picture(what: str, picture: Picture) -> str:
    data = b64encode(picture.png).decode()
    sure = f"{picture.confidence:.2f}"
    alt = f"{escape(what)}, confidence {sure}"
    image = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{sure}</figcaption></figure>"


def sheet_of(
    variant: str, rows_N: NDArray[np.int64], images_NHWC: PoolImages, scores: Scores
) -> Sheet:
    """Draw the sheet of a variant that selected these rows.

    Of many classes MOST_CLASSES are shown, evenly spread.
    """
    label_N = np.asarray(scores.pseudo_label_N)[rows_N]
    confidence_N = np.asarray(scores.confidence_N)[rows_N]
    counts_K = np.bincount(label_N, minlength=scores.classes)
    count = min(scores.classes, MOST_CLASSES)
    shown = np.unique(np.linspace(0, scores.classes - 1, count).round().astype(int))
    places_K = {}
    for label in shown.tolist():
        own = np.flatnonzero(label_N == label)
        own = own[np.argsort(-confidence_N[own], kind="stable")]
        places_K[label] = own[sorted({0, len(own) // 2, len(own) - 1})] if len(own) else own
    places = np.concatenate([*places_K.values()])
    images = iter(images_NHWC[rows_N[places]])  # together: each shard is read once
    pictures = {
        label: [Picture(png=png(next(images)), confidence=float(confidence_N[i])) for i in own]
        for label, own in places_K.items()
    }
    return Sheet(
        variants=(variant,),
        rows=len(rows_N),
        of_rows=len(images_NHWC),
        pictures=pictures,
        counts={label: int(n) for label, n in enumerate(counts_K)},
    )


def png(image_HWC: NDArray[np.uint8]) -> bytes:
    """Return the image as PNG bytes, at most LARGEST pixels a side."""
    image = Image.fromarray(
        image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else np.ascontiguousarray(image_HWC)
    )
    image.thumbnail((LARGEST, LARGEST))
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()
