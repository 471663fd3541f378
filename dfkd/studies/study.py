"""What a study asks: a question, and the recipes that answer it in the same blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dfkd.experiment import Cell, Experiment
from dfkd.experiment.settings import Settings
from dfkd.seeding import Block

MOST_BLOCKS = 1_000  # a block's seed is its number, and those from 1000 on are the sweeps'


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question and the recipes that answer it, each computed in the same blocks.

    variants: name -> experiment. baseline: the name of the variant that all others are compared
    with. blocks: how many; 2 to MOST_BLOCKS.
    """

    question: str
    variants: Mapping[str, Experiment]
    baseline: str
    blocks: int = 5

    def __post_init__(self) -> None:
        if self.baseline not in self.variants:
            raise ValueError(
                f"the baseline must be one of {list(self.variants)}, but got {self.baseline!r}"
            )
        if not 2 <= self.blocks <= MOST_BLOCKS:
            raise ValueError(
                f"a study needs 2 to {MOST_BLOCKS:,} blocks, but got blocks={self.blocks!r}"
            )
        seen: dict[str, str] = {}
        for name, experiment in self.variants.items():
            twin = seen.setdefault(experiment.fingerprint(), name)
            if twin != name:
                raise ValueError(
                    f"the variants {twin!r} and {name!r} are one experiment: the study changes "
                    "nothing"
                )

    def changed(self, settings: Settings) -> Study:
        """Return the study with the settings in every variant, where it does not change them."""
        return replace(self, variants={n: settings(e) for n, e in self.variants.items()})

    def cells(self) -> dict[tuple[str, int], Cell]:
        """Return the cell of each variant and block: (variant, block's number) -> cell.

        They stand block by block, so that an interrupted study has whole blocks. Seeds are
        0, 1, ...
        """
        return {
            (name, seed): Cell(experiment=experiment, block=Block(seed=seed))
            for seed in range(self.blocks)
            for name, experiment in self.variants.items()
        }
