"""Cross-entropy over labelled positions, with a weight for each class."""

from __future__ import annotations

from torch import Tensor

from segdistill.losses import upsampled_cross_entropy
from segdistill.losses.maths.gather import processes, share_of_count, sum_over_processes
from segdistill.types import IGNORE_INDEX


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    whole: Tensor,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    r"""Return a part's share of the weighted mean cross-entropy of the global batch.

    .. math:: L = \frac{\sum_p w_{y_p} (-\log \sigma(z_p)_{y_p})}{\sum_{p} w_{y_p}}

    Args:
        logits: :math:`z` after resizing to the labels, which is done tile by tile.
        labels: :math:`y`, int64, 255 where a position has no class.
        whole: the labels of this process's whole batch, over which the divisor is summed.
        weights: :math:`w`, by class; None stands for 1.
        smoothing: label smoothing, as in :func:`torch.nn.functional.cross_entropy`.

    Shape:
        logits ``(N, K, h, w)``; labels ``(N, H, W)``; whole ``(M, H, W)``; weights ``(K,)``;
        result ``()``.

    Returns:
        The loss in nats; 0 with a graph if no position is labelled.
    """
    return upsampled_cross_entropy(
        logits,
        labels,
        weight=weights,
        label_smoothing=smoothing,
        divisor=count_labelled(whole, weights),
    )


def count_labelled(labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the divisor that turns a sum over labelled positions into a share of the global mean.

    It is the number of labelled positions, or the sum of their class weights, over all processes,
    divided by the number of processes; 1 if it would be 0.
    """
    labelled = labels != IGNORE_INDEX
    if weights is None:
        return share_of_count(labelled.sum())
    total = weights[labels.masked_fill(~labelled, 0)].mul(labelled).sum()
    share = sum_over_processes(total) / processes()[1]
    return share.masked_fill(share == 0, 1.0)
