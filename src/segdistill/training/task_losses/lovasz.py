"""Lovász-softmax: the convex extension of one minus each class's IoU."""

from __future__ import annotations

import torch
from torch import Tensor

from segdistill.losses.maths.gather import gather_images, processes
from segdistill.training.task_losses.cross_entropy import cross_entropy
from segdistill.types import IGNORE_INDEX


def lovasz(
    logits: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    cross_entropy_weight: float = 0.0,
) -> Tensor:
    r"""Return this process's share of the mean Lovász-softmax loss of the labelled classes.

    With :math:`q` the softmax of the logits, the error of a position for a class :math:`k` is
    :math:`m_p = |[y_p = k] - q_{pk}|`. Sorted from the largest, :math:`J_i` is the Jaccard
    loss of class :math:`k` if the first :math:`i` positions are wrong and the others right,

    .. math::
        L = \frac{1}{\sum_{k \in C} w_k} \sum_{k \in C} w_k \sum_i m_i (J_i - J_{i-1}),
        \quad J_i = 1 - \frac{G - g_i}{G + i - g_i},

    where :math:`G` positions have the class, :math:`g_i` of them among the first :math:`i`. It
    is taken over the labelled positions of all images of all processes, and over the classes
    :math:`C` that occur among them.

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
        Berman, Rannen Triki and Blaschko, "The Lovász-Softmax loss", CVPR 2018, Eqs. 8 to 12,
        over the whole batch and the classes that are present, which is their default.
    """
    labelled = labels != IGNORE_INDEX
    classes = logits.shape[1]
    q = logits.float().softmax(dim=1)
    everywhere, known = gather_images(labels), gather_images(labelled)
    probabilities = gather_images(q.detach())
    losses, shares = [q.sum() * 0.0], [q.new_zeros(())]
    for k in range(classes):
        positive = everywhere == k
        if not bool(positive.any()):
            continue
        error = (positive.to(q.dtype) - probabilities[:, k]).abs().masked_fill(~known, -1.0)
        slope = _jaccard_slope(error.flatten(), positive.flatten(), known.flatten())
        mine = slope.view_as(error).chunk(processes()[1])[processes()[0]]
        own = ((labels == k).to(q.dtype) - q[:, k]).abs()
        share = q.new_ones(()) if weights is None else weights[k]
        # Linear in this process's errors, so that its share of the sum and its gradient are exact.
        losses.append(share * (own * mine).sum() * processes()[1])
        shares.append(share)
    total = torch.stack(shares).sum()
    loss = torch.stack(losses).sum() / total.where(total > 0, 1)
    if not cross_entropy_weight:
        return loss
    return loss + cross_entropy_weight * cross_entropy(
        logits, labels, whole=labels, weights=weights
    )


def _jaccard_slope(error: Tensor, positive: Tensor, known: Tensor) -> Tensor:
    """Return the factor of each position's error; 0 at positions without a class."""
    order = error.argsort(descending=True, stable=True)
    # float64: neighbouring Jaccard losses differ by less than float32 resolves near 1.
    positives = positive[order].double().cumsum(0)
    rank = torch.arange(1, len(order) + 1, dtype=torch.float64, device=error.device)
    total = positives[-1]
    jaccard = 1 - (total - positives) / (total + rank - positives)
    slope = torch.empty_like(jaccard)
    slope[order] = jaccard.diff(prepend=jaccard.new_zeros(1))
    return slope.to(error.dtype) * known
