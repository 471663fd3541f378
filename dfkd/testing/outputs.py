"""Made-up outputs of two networks, for tests of losses: all that a loss may ask for, in doubles.

B batch, K classes, D feature width; C, H, W channels, height and width of a map.
"""

from dataclasses import replace

import torch
from torch import nn

from dfkd.method.losses import Loss, Outputs, Sizes

MAPS = ((8, 8, 8), (16, 4, 4))  # two stages of the student
ROWS = 40  # selected
EQUAL = Sizes(
    classes=10,
    student_width=12,
    teacher_width=12,
    student_maps=MAPS,
    teacher_maps=MAPS,
    rows=ROWS,
    teacher_accuracy=0.9,
    teacher_head=(torch.linspace(-1, 1, 120).reshape(10, 12), torch.linspace(0, 1, 10)),
)
WIDER = replace(
    EQUAL,
    teacher_head=(torch.linspace(-1, 1, 200).reshape(10, 20), None),
    teacher_width=20,
    teacher_maps=((8, 16, 16), (24, 4, 4)),
)


def outputs(
    width: int,
    seed: int,
    batch: int = 16,
    scale: float = 1.0,
    maps: tuple[tuple[int, int, int], ...] = MAPS,
) -> Outputs:
    """Return what a network of this width says of a batch, in double precision."""
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
    """Return what a student and a teacher of these sizes say."""
    student = outputs(sizes.student_width, 2 * seed, batch, scale, sizes.student_maps)
    return student, outputs(sizes.teacher_width, 2 * seed + 1, batch, scale, sizes.teacher_maps)


def built(loss: Loss, sizes: Sizes, seed: int = 0) -> nn.Module:
    """Build the loss's module in double precision, from its own seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return loss.module(sizes).double()
