"""Dice loss: the overlap of each class's probabilities with its labelled positions."""

from __future__ import annotations

import torch
from torch import Tensor

from segdistill.losses.maths.gather import processes, sum_over_processes
from segdistill.training.task_losses.cross_entropy import cross_entropy
from segdistill.types import IGNORE_INDEX


def dice(
    logits: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    cross_entropy_weight: float = 0.0,
) -> Tensor:
    r"""Return this process's share of the mean Dice loss of the classes that are labelled.

    With :math:`q` the softmax of the logits, :math:`V` the labelled positions of all images of
    all processes and :math:`C` the classes that occur among them,

    .. math::
        L = \frac{1}{\sum_{k \in C} w_k} \sum_{k \in C} w_k \Big(
            1 - \frac{2 \sum_{p \in V} q_{pk} [y_p = k]}{\sum_{p \in V} q_{pk} + [y_p = k]} \Big),

    a ratio of sums over the whole batch. A class without any position has no term of its own.

    Args:
        logits: at the size of the labels.
        labels: int64, 255 where a position has no class.
        weights: :math:`w`, by class; None stands for 1.
        cross_entropy_weight: of the cross-entropy that is added.

    Shape:
        As :func:`segdistill.training.task_losses.cross_entropy.cross_entropy`.

    Returns:
        The loss, in [0, 1] without the cross-entropy; 0 with a graph if no position is
        labelled.

    Source:
        Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, Sec. 3, with the probabilities in the
        divisor instead of their squares, as in Sudre et al., "Generalised Dice overlap", DLMIA
        2017, Eq. 1, and most public code.
    """
    labelled = (labels != IGNORE_INDEX)[:, None]
    q = logits.float().softmax(dim=1) * labelled
    truth = labels.masked_fill(~labelled[:, 0], 0)[:, None]
    hits = torch.zeros_like(q).scatter(1, truth, q.gather(1, truth))
    positions = torch.zeros_like(q).scatter(1, truth, labelled.to(q.dtype))
    here = torch.stack([values.sum(dim=(0, 2, 3)) for values in (hits, q, positions)])
    # The gradient of the global sums, times the number of processes, which training divides by.
    rank_share = here - here.detach()
    overlap, mass, count = sum_over_processes(here) + processes()[1] * rank_share
    present = (count > 0).to(q.dtype)
    share = present if weights is None else present * weights
    by_class = 1 - 2 * overlap / (mass + count).where(count > 0, 1)
    total = share.sum()
    loss: Tensor = (share * by_class).sum() / total.where(total > 0, 1)
    if not cross_entropy_weight:
        return loss
    return loss + cross_entropy_weight * cross_entropy(
        logits, labels, whole=labels, weights=weights
    )
