"""Implicit losses by contrast: what belongs together is to be nearer than what does not.

B batch, D feature width of the teacher, E of an embedding, N selected rows, J one positive and the
negatives.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.method.losses.loss import (
    BaseLoss,
    Outputs,
    Sizes,
    check_temperature,
    check_weight,
    projector,
)


@dataclass(frozen=True, kw_only=True)
class TeacherContrast(BaseLoss):
    """Tells an image's own teacher features from those of the other images of the batch.

    Formula: -log of the share of exp(cos(g(f_S,i), f_T,i) / tau) in the sum over all images j, mean
    over the batch; g is a Linear + BatchNorm where the widths differ.
    Source: our reading of ODSD's "teacher's structured representation", by InfoNCE (van den Oord et
    al., 2018).
    Range: tau above 0; smaller looks at the hardest negatives.
    Interplay: no label is read, so images of one class are negatives of each other. Never 0, grows
    as log B.
    """

    weight: float = 1.0
    tau: float = 0.1
    ramp: float = 0.1
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        check_temperature("tau of TeacherContrast", self.tau)

    def module(self, sizes: Sizes) -> nn.Module:
        return _TeacherContrast(self.tau, sizes)


class _TeacherContrast(nn.Module):
    def __init__(self, tau: float, sizes: Sizes) -> None:
        super().__init__()
        self.tau = tau
        self.projector = projector(sizes.student_width, sizes.teacher_width)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        student_BD = F.normalize(self.projector(student.features_BD), dim=1)
        cosine_BB = student_BD @ F.normalize(teacher.features_BD, dim=1).T
        return F.cross_entropy(
            cosine_BB / self.tau, torch.arange(len(cosine_BB), device=cosine_BB.device)
        )


@dataclass(frozen=True, kw_only=True)
class NTXent(BaseLoss):
    """Brings the student's features of two views of an image together, apart from all others.

    Formula: -log of the share of exp(cos(z_i, z_i') / tau) in the sum over the 2B - 1 other views,
    mean over the 2B views.
    Source: published, SimCLR (Chen et al., 2020); there behind a projection head. Ours: on the
    pooled features themselves.
    Range: tau above 0.
    Interplay: the teacher is not read; as in our reading of ODSD ("through the student itself"), it
    goes with a loss that reads it. Needs `views`; never 0, grows as log B.
    """

    weight: float = 1.0
    tau: float = 0.5
    ramp: float = 0.1
    version: ClassVar[int] = 1
    capturable: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"second_view"})

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        check_temperature("tau of NTXent", self.tau)

    def module(self, sizes: Sizes) -> nn.Module:
        return _NTXent(self.tau)


class _NTXent(nn.Module):
    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        assert student.second is not None
        batch = len(student.features_BD)
        # [2B, D]
        unit = F.normalize(torch.cat([student.features_BD, student.second.features_BD]), dim=1)
        itself = torch.eye(2 * batch, dtype=torch.bool, device=unit.device)
        cosine = (unit @ unit.T / self.tau).masked_fill(itself, -1e9)  # [2B, 2B]
        return F.cross_entropy(cosine, torch.arange(2 * batch, device=unit.device).roll(batch))


@dataclass(frozen=True, kw_only=True)
class CRD(BaseLoss):
    """Tells an image's own teacher features from those of other selected rows, and vice versa.

    Formula: h(v, m) = exp(v . m / tau) / Z; per anchor -log(h_+ / (h_+ + J P)) - sum over J
    negatives of log(J P / (h_- + J P)), P = 1 / N; the student's embedding against a bank of the
    teacher's, plus the teacher's against a bank of the student's. Embeddings are l2-normalised
    Linear layers, both trained; a bank's entry moves towards each new one; Z is set by the first
    batch.
    Source: published, Tian et al. (ICLR 2020), code of RepDistiller; there labels choose the
    negatives. Ours: instance negatives, drawn from all other selected rows, with replacement; no
    label is read.
    Range: dim of the embeddings; negatives J; tau above 0; momentum, the share of a bank's entry
    that stays, in [0, 1).
    Cost: two banks of N * dim floats, and B * J scores in each step; J = 16384 asks for a GPU once
    N is above J.
    """

    weight: float = 0.8
    dim: int = 128
    negatives: int = 16384
    tau: float = 0.07
    momentum: float = 0.5
    ramp: float = 0.0
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"rows"})

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        check_temperature("tau of CRD", self.tau)
        if self.dim < 1 or self.negatives < 1:
            raise ValueError(
                f"CRD needs 1 dimension and 1 negative or more, but got dim={self.dim!r}, "
                f"negatives={self.negatives!r}"
            )
        if not 0 <= self.momentum < 1:
            raise ValueError(
                f"momentum of CRD must lie in [0, 1), but got momentum={self.momentum!r}"
            )

    def module(self, sizes: Sizes) -> nn.Module:
        if sizes.rows < 2:
            raise ValueError(
                f"CRD needs 2 selected rows or more to find a negative, but got {sizes.rows}"
            )
        return _CRD(self, sizes)


class _CRD(nn.Module):
    def __init__(self, crd: CRD, sizes: Sizes) -> None:
        super().__init__()
        self.negatives, self.rows, self.momentum = crd.negatives, sizes.rows, crd.momentum
        self.student = _Side(sizes.student_width, sizes.rows, crd)
        self.teacher = _Side(sizes.teacher_width, sizes.rows, crd)

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        rows_B = teacher.rows_B
        assert rows_B is not None and teacher.seed is not None
        student_BE, teacher_BE = (
            self.student.embed(student.features_BD),
            self.teacher.embed(teacher.features_BD),
        )
        places_BJ = self._places(rows_B, teacher.seed)
        loss = self.teacher.contrast(student_BE, places_BJ) + self.student.contrast(
            teacher_BE, places_BJ
        )
        self.student.remember(student_BE, rows_B)  # after both were read
        self.teacher.remember(teacher_BE, rows_B)
        return loss

    def _places(self, rows_B: Tensor, seed: int) -> Tensor:
        """Return the image's own place first, then the negatives': any of the N - 1 others."""
        g = torch.Generator(rows_B.device).manual_seed(seed)
        shape = (len(rows_B), self.negatives)
        others_BJ = torch.randint(self.rows - 1, shape, generator=g, device=rows_B.device)
        others_BJ += others_BJ >= rows_B[:, None]
        return torch.cat([rows_B[:, None], others_BJ], dim=1)


class _Side(nn.Module):
    """One network's embedding and the bank of what it was for each selected row."""

    def __init__(self, width: int, rows: int, crd: CRD) -> None:
        super().__init__()
        self.tau, self.momentum = crd.tau, crd.momentum
        self.linear = nn.Linear(width, crd.dim)
        spread = 1 / math.sqrt(crd.dim / 3)
        self.bank_NE: Tensor
        self.scale: Tensor
        self.register_buffer("bank_NE", (2 * torch.rand(rows, crd.dim) - 1) * spread)
        self.register_buffer("scale", torch.zeros(()))  # Z; 0 until the first batch has set it

    def embed(self, features_BD: Tensor) -> Tensor:
        return F.normalize(self.linear(features_BD), dim=1)

    def contrast(self, anchor_BE: Tensor, places_BJ: Tensor) -> Tensor:
        """Return the loss of the other network's anchors against this one's bank, mean over B."""
        rows, negatives = len(self.bank_NE), places_BJ.shape[1] - 1
        score_BJ = (_products(anchor_BE, self.bank_NE, places_BJ) / self.tau).exp()
        scale = torch.where(self.scale > 0, self.scale, score_BJ.detach().mean() * rows)
        self.scale.copy_(scale)
        score_BJ = score_BJ / scale
        noise = negatives / rows
        is_own_B = (score_BJ[:, 0] / (score_BJ[:, 0] + noise + 1e-7)).log()
        is_not_BJ = (noise / (score_BJ[:, 1:] + noise + 1e-7)).log()
        return -(is_own_B + is_not_BJ.sum(dim=1)).mean()

    @torch.no_grad()
    def remember(self, embedded_BE: Tensor, rows_B: Tensor) -> None:
        """Move the bank's entries of these rows towards the new embeddings.

        With several workers all see the whole batch, so that their banks stay equal.
        """
        moved_BE = self.momentum * self.bank_NE[rows_B] + (1 - self.momentum) * embedded_BE.to(
            self.bank_NE.dtype
        )
        self.bank_NE.index_copy_(0, rows_B, F.normalize(moved_BE, dim=1))


def _products(anchor_BE: Tensor, bank_NE: Tensor, places_BJ: Tensor) -> Tensor:
    """Return anchor_b . bank[places_bj], by whichever way needs less memory."""
    if len(bank_NE) <= places_BJ.shape[1]:
        # a copy: the bank changes before the backward pass
        return (anchor_BE @ bank_NE.clone().T).gather(1, places_BJ)
    return torch.einsum("be,bje->bj", anchor_BE, bank_NE[places_BJ])
