"""Focal loss: cross-entropy with less weight for positions that are well classified."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from segdistill.training.task_losses.cross_entropy import count_labelled
from segdistill.types import IGNORE_INDEX


def focal(
    logits: Tensor,
    labels: Tensor,
    *,
    whole: Tensor,
    weights: Tensor | None = None,
    gamma: float = 2.0,
) -> Tensor:
    r"""Return a part's share of the weighted mean focal loss of the global batch.

    .. math::
        L = \frac{\sum_p w_{y_p} (1 - q_p)^\gamma (-\log q_p)}{\sum_{p} w_{y_p}},
        \quad q_p = \sigma(z_p)_{y_p}

    Args:
        logits: :math:`z`, at the size of the labels.
        labels: :math:`y`, int64, 255 where a position has no class.
        whole: the labels of this process's whole batch, over which the divisor is summed.
        weights: :math:`w`, by class; None stands for 1.
        gamma: :math:`\gamma`; 0 is cross-entropy.

    Shape:
        As :func:`segdistill.training.task_losses.cross_entropy.cross_entropy`.

    Returns:
        The loss in nats; 0 with a graph if no position is labelled.

    Source:
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, Eq. 5.
    """
    nats = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
    loss = (1 - (-nats).exp()) ** gamma * nats
    if weights is not None:
        labelled = labels != IGNORE_INDEX
        loss = loss * weights[labels.masked_fill(~labelled, 0)]
    return loss.sum() / count_labelled(whole, weights)
