"""The views that recipes may name: whoever adds one enters it here."""

from dfkd.data.images.mixing import CutMix, MixUp
from dfkd.data.images.resized_crop import RandomResizedCrop
from dfkd.data.images.transforms import Crop, RandAugment, View

VIEWS: tuple[type[View], ...] = (Crop, RandAugment, MixUp, CutMix, RandomResizedCrop)
