"""For the tests of losses: one recipe of each, outputs of two made-up networks, and modules in
double precision.

B batch, K classes, D feature width; C, H, W channels, height and width of a map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from dfkd.method.losses import (
    CRD,
    PKT,
    RKD,
    SP,
    AttentionTransfer,
    FitNet,
    Loss,
    NTXent,
    Outputs,
    PooledFeatures,
    ReviewKD,
    Similarity,
    Sizes,
    TeacherContrast,
)

RECIPES: dict[type[Loss], Callable[[float], Loss]] = {
    PooledFeatures: lambda weight: PooledFeatures(weight=weight),
    FitNet: lambda weight: FitNet(weight=weight),
    AttentionTransfer: lambda weight: AttentionTransfer(weight=weight),
    ReviewKD: lambda weight: ReviewKD(weight=weight),
    Similarity: lambda weight: Similarity(weight=weight),
    RKD: lambda weight: RKD(weight=weight),
    SP: lambda weight: SP(weight=weight),
    PKT: lambda weight: PKT(weight=weight),
    CRD: lambda weight: CRD(weight=weight, dim=8, negatives=32),
    NTXent: lambda weight: NTXent(weight=weight),
    TeacherContrast: lambda weight: TeacherContrast(weight=weight),
}
MAPS = ((8, 8, 8), (16, 4, 4))  # two stages of the student
ROWS = 40  # selected
EQUAL = Sizes(
    classes=10, student_width=12, teacher_width=12, student_maps=MAPS, teacher_maps=MAPS, rows=ROWS
)
WIDER = replace(EQUAL, teacher_width=20, teacher_maps=((8, 16, 16), (24, 4, 4)))


def outputs(
    width: int,
    seed: int,
    batch: int = 16,
    scale: float = 1.0,
    maps: tuple[tuple[int, int, int], ...] = MAPS,
) -> Outputs:
    """All that a loss may ask for, in double precision."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(batch, *shape, generator=g, dtype=torch.float64) * scale

    first = Outputs(draw(10), draw(width))
    second = Outputs(draw(10), draw(width))
    rows_B = torch.randperm(max(ROWS, batch), generator=g)[:batch]
    return replace(
        first, maps=tuple(draw(*shape) for shape in maps), second=second, rows_B=rows_B, seed=seed
    )


def pair(
    sizes: Sizes, batch: int = 16, scale: float = 1.0, seed: int = 1
) -> tuple[Outputs, Outputs]:
    """What a student and a teacher of these sizes say."""
    student = outputs(sizes.student_width, 2 * seed, batch, scale, sizes.student_maps)
    return student, outputs(sizes.teacher_width, 2 * seed + 1, batch, scale, sizes.teacher_maps)


def made(kind: type[Loss], sizes: Sizes, weight: float = 1.0, seed: int = 0) -> torch.nn.Module:
    return built(RECIPES[kind](weight), sizes, seed)


def built(loss: Loss, sizes: Sizes, seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return loss.module(sizes).double()
