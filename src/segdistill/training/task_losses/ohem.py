"""Online hard example mining (OHEM): cross-entropy of the hardest positions of the batch."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from segdistill.losses.maths.gather import gather_images, processes
from segdistill.training.task_losses.cross_entropy import count_labelled
from segdistill.types import IGNORE_INDEX


def ohem(
    logits: Tensor,
    labels: Tensor,
    *,
    weights: Tensor | None = None,
    threshold: float = 0.7,
    min_kept: int = 100000,
) -> Tensor:
    r"""Return this process's share of the weighted mean cross-entropy over hard positions.

    A position is hard if the probability :math:`q` of its class is below

    .. math:: \max(\theta, q_{(k N + 1)}),

    the threshold or the :math:`(k N + 1)`-th lowest value in the :math:`N` images of all processes,
    whichever is higher.

    Args:
        logits: at the size of the labels.
        labels: int64, 255 where a position has no class.
        weights: by class; None stands for 1.
        threshold: :math:`\theta`.
        min_kept: :math:`k`, the minimum number of positions kept per image, if there are so many.

    Shape:
        As :func:`segdistill.training.task_losses.cross_entropy.cross_entropy`.

    Returns:
        The loss in nats; 0 with a graph if no position is labelled or hard.

    Source:
        Shrivastava et al., CVPR 2016. Positions are chosen like in ``OHEMPixelSampler`` of
        open-mmlab/mmsegmentation (0.7 and 100000 per image). That divides by all positions; the
        divisor here is the number of kept ones, as in HRNet/HRNet-Semantic-Segmentation, which
        counts 100000 over the batch.
    """
    labelled = labels != IGNORE_INDEX
    nats = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
    # Positions without a class come last, behind every probability.
    probability = (-nats.detach()).exp().masked_fill(~labelled, 2.0)
    everywhere = gather_images(probability).flatten()
    kept = min(min_kept * len(labels) * processes()[1], everywhere.numel() - 1)
    bound = everywhere.kthvalue(kept + 1).values.clamp(min=threshold)
    hard = labels.masked_fill(probability >= bound, IGNORE_INDEX)
    total = F.cross_entropy(
        logits, hard, weight=weights, ignore_index=IGNORE_INDEX, reduction="sum"
    )
    return total / count_labelled(hard, weights)
