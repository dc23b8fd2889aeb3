"""Logit standardisation: logits of mean 0 and deviation 1 over the classes of each pixel."""

from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.precision import full_precision
from segdistill.losses.maths.unit import SHORTEST


def standardize_logits(logits: Tensor) -> Tensor:
    r"""Return logits standardised over the classes of each position.

    With mean :math:`\mu_p` and deviation :math:`\sigma_p` over the :math:`K` classes of position
    :math:`p`,

    .. math:: \hat z_{kp} = \frac{z_{kp} - \mu_p}{\sigma_p}, \quad
        \sigma_p = \sqrt{\frac{1}{K} \sum_k (z_{kp} - \mu_p)^2}.

    A student compared this way need not be as confident as its teacher; it only has to rank and
    space the classes in the same way. Deviations below 1e-4 are raised to 1e-4, so that the
    gradient is bounded where all logits are equal. A logit of -inf, for a class that a teacher
    excludes, stays -inf and is left out of mean and deviation. Half precision is converted to
    float32. The function keeps one map, its result, and needs three more for a moment in the
    backward pass, whatever compares the result aside. It is not twice differentiable.

    Args:
        logits: logits of a network.

    Shape:
        logits ``(N, K, H, W)``; result likewise.

    Returns:
        The standardised logits, unitless, float32 or wider.

    Raises:
        ValueError: the logits are not ``(N, K, H, W)``, or have one class.

    Source:
        Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024, arXiv:2403.01427,
        for classification. The authors' code divides by K - 1 in :math:`\sigma`, which is a
        temperature of :math:`\sqrt{K / (K - 1)}`, and reduces over the last dimension, which for a
        map is its width and not its classes.
    """
    if logits.ndim != 4 or logits.shape[1] < 2:
        raise ValueError(
            "standardize_logits: expected logits (N, K, H, W) of at least 2 classes, got "
            f"{tuple(logits.shape)}; compare them as they are"
        )
    (logits,) = full_precision(logits)
    result: Tensor = _Standardize.apply(logits)  # type: ignore[no-untyped-call]
    return result


class _Standardize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        excluded = logits.isneginf()
        count = (~excluded).sum(dim=1, keepdim=True).clamp_min(1)
        result = logits.masked_fill(excluded, 0.0)
        result -= result.sum(dim=1, keepdim=True) / count
        result.masked_fill_(excluded, 0.0)
        deviation = (result.square().sum(dim=1, keepdim=True) / count).sqrt()
        result /= deviation.clamp_min(SHORTEST)
        result.masked_fill_(excluded, -torch.inf)
        ctx.save_for_backward(result, deviation)
        return result

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        result, deviation = ctx.saved_tensors
        result = result.masked_fill(result.isneginf(), 0.0)
        along = (upstream * result).mean(dim=1, keepdim=True) * (deviation > SHORTEST)
        gradient = upstream - upstream.mean(dim=1, keepdim=True)
        return gradient.addcmul_(result, along, value=-1).div_(deviation.clamp_min(SHORTEST))
