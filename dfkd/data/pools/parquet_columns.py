"""Where the images are in a user's Parquet file: which column, and encoded or raw.

H height, W width, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfkd.data.images.decoding import ImageShape
from dfkd.data.importing.columns import check_raw_type, schema_of

OURS = "image"  # the column of shards, which is read where it lies
USUAL = (
    *(OURS, "img", "jpg", "jpeg", "png", "webp", "picture", "photo"),
    *("image_bytes", "image.bytes", "img_bytes", "bytes", "pixels", "pixel_values", "data"),
)
FEW = 8  # names that a line may list


@dataclass(frozen=True)
class ImageColumn:
    """The column with the images: encoded ones, or raw pixels in the order H, W, C."""

    name: str
    is_encoded: bool
    is_shard: bool  # raw, and read where it lies

    @property
    def identity(self) -> str:
        """What tells another column of the same file apart; "" for ours, as ever."""
        return "" if self.name == OURS else f" {self.name}"


def image_column(path: Path, image_shape: ImageShape, column: str = "") -> ImageColumn:
    """Return the column of this name, or the one that is found; looks at the footer only.

    Raises ValueError in one line where there is none, or it could not be read at this shape.
    """
    schema = schema_of(path)
    name = column or _found(path, schema, image_shape)
    if name not in schema.names:
        raise ValueError(
            f"column must name one of {schema.names}, but got {column=} for {path}: mend column, "
            "or leave it out"
        )
    field = schema.field(name)
    if _is_encoded(field.type):
        return ImageColumn(name, True, False)
    if pa.types.is_fixed_size_binary(field.type):
        check_raw_type(path, schema, field, image_shape)
        return ImageColumn(name, False, name == OURS)
    if not _is_raw_list(field.type):
        raise ValueError(_unfit(path, field))
    _check_size(path, field, image_shape)
    return ImageColumn(name, False, False)


def _found(path: Path, schema: pa.Schema, image_shape: ImageShape) -> str:
    """Return our column, else the first with a usual name, else the only one that may be meant."""
    size = int(np.prod(image_shape))
    usual = [name for name in USUAL if name in schema.names]
    fit = [f.name for f in schema if f.name != "row_id" and _may_be_images(f.type, size)]
    if OURS in usual and not (fit and _has_text(schema.field(OURS).type)):
        return OURS
    named = [name for name in usual if name in fit]
    if named or len(fit) == 1:
        return (named or fit)[0]
    which = f"more than one that may be, {fit}" if fit else f"only {_few(schema.names)}"
    raise ValueError(
        f"a shard must have a column with images, such as {OURS!r}, but got {which} in {path}: "
        "name it with column=..., or write raw uint8 pixels or encoded images there"
    )


def _few(names: Sequence[str]) -> str:
    """Return the names, of many the first and how many there are."""
    return str(names) if len(names) <= FEW else f"{names[:3]} and {len(names) - 3} more"


def _may_be_images(kind: pa.DataType, size: int) -> bool:
    if pa.types.is_fixed_size_binary(kind):
        return bool(kind.byte_width == size)
    return _is_encoded(kind) or _is_raw_list(kind)


def _is_encoded(kind: pa.DataType) -> bool:
    """Return whether values are bytes of any length, or structs or a dictionary with such."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    types = pa.types
    if types.is_binary_view(kind) or types.is_null(kind):  # without a single value
        return True
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_raw_list(kind: pa.DataType) -> bool:
    """Return whether values are lists, of lists, of whole numbers."""
    kind = stored_type(kind)
    if not is_list(kind):
        return False
    while is_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's lists."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that an extension, such as a tensor of fixed shape, is stored as."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _check_size(path: Path, field: pa.Field, image_shape: ImageShape) -> None:
    """Raise ValueError for flat lists of another length, or tensors of another shape."""
    kind, size = stored_type(field.type), int(np.prod(image_shape))
    shape = tuple(field.type.shape) if isinstance(field.type, pa.FixedShapeTensorType) else None
    flat = pa.types.is_fixed_size_list(kind) and not is_list(kind.value_type)
    if (flat and kind.list_size != size) or shape not in (None, tuple(image_shape)):
        raise ValueError(
            f"raw pixels must have the task's shape {tuple(image_shape)}, {size} values in the "
            f"order height, width, channels, but got {field.type} in the column {field.name!r} of "
            f"{path}: write them so, or as encoded images, which are resized"
        )


def _unfit(path: Path, field: pa.Field) -> str:
    holds = (
        f"the column {field.name!r} must hold encoded images (binary) or raw uint8 pixels "
        f"(fixed_size_binary, lists), but got {field.type} in {path}"
    )
    if _has_text(field.type):
        return f"{holds}: paths are not followed; take ImageFolder for the folder of the files"
    return f"{holds}: name another one with column=..., or write it so"


def _has_text(kind: pa.DataType) -> bool:
    """Return whether values are texts, or structs of nothing but texts: paths."""
    if pa.types.is_struct(kind):
        return all(_has_text(field.type) for field in kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
