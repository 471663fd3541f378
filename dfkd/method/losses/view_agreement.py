"""ViewAgreement: rows whose answers agree over views count for more.

B batch, N selected rows, K classes.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from dfkd.method.losses.loss import BaseLoss, Outputs, Sizes, check_temperature, check_weight


@dataclass(frozen=True, kw_only=True)
class ViewAgreement(BaseLoss):
    """Compares the answers once more, each row weighted by how well its views agree so far.

    Formula: mean over the batch of a_i T^2 KL(softmax(t_i / T) || softmax(s_i / T)); a_i is the
    share of the teacher's answers to row i so far, this one included, whose most likely class is
    that of the answer before; the first answer counts as one that agrees. Beside KD at the same T a
    row so has a weight of 1 + weight * a_i.
    Source: our reading of "weighting by agreement over views": what the teacher says of an image
    it knows should outlast small changes of it.
    Range: temperature T above 0.
    Interplay: meant for `views` whose answer is live; the cached answer always agrees with itself,
    and the term is then plain KD once more. Class dropping does not reach this term. It keeps 3
    numbers of each selected row.
    """

    weight: float = 1.0
    temperature: float = 4.0
    ramp: float = 0.0
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"rows"})

    def __post_init__(self) -> None:
        check_weight(self.weight, self.ramp)
        check_temperature("temperature of ViewAgreement", self.temperature)

    def module(self, sizes: Sizes) -> nn.Module:
        return _ViewAgreement(sizes.rows, self.temperature)


class _ViewAgreement(nn.Module):
    def __init__(self, rows: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.before_N: Tensor
        self.seen_N: Tensor
        self.agreed_N: Tensor
        # whole numbers: exact, whatever the precision of the rest
        self.register_buffer("before_N", torch.full((rows,), -1))  # the last answer's class
        self.register_buffer("seen_N", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("agreed_N", torch.zeros(rows, dtype=torch.int64))

    def forward(self, student: Outputs, teacher: Outputs) -> Tensor:
        assert teacher.rows_B is not None
        share_B = self._agreement(teacher.rows_B, teacher.logits_BK.argmax(dim=1))
        log_p_BK, log_q_BK = (
            (said.logits_BK / self.temperature).log_softmax(dim=1) for said in (teacher, student)
        )
        apart_B = (log_p_BK.exp() * (log_p_BK - log_q_BK)).sum(dim=1)
        return (share_B * apart_B).mean() * self.temperature**2

    @torch.no_grad()
    def _agreement(self, rows_B: Tensor, class_B: Tensor) -> Tensor:
        """Count these answers, and return the share of each row's that agree [B]."""
        before_B = self.before_N[rows_B]
        agrees_B = (before_B < 0) | (before_B == class_B)
        self.seen_N.index_add_(0, rows_B, torch.ones_like(class_B))
        self.agreed_N.index_add_(0, rows_B, agrees_B.long())
        self.before_N.index_copy_(0, rows_B, class_B)
        return self.agreed_N[rows_B] / self.seen_N[rows_B]
