"""The cosine between each position and the mean of its class, using a single map of gradients."""

from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.class_means import class_means
from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.unit import SHORTEST, length


def class_cosines(features: Tensor, membership: Tensor, labels: Tensor) -> Tensor:
    """Return the cosine between each position and its image's mean of its class.

    Gradient flows through the means as well. It is not twice differentiable.

    Args:
        features: feature vectors by position.
        membership: see :func:`segdistill.losses.maths.class_means.one_hot`, of the labels.
        labels: class ids; below 0 for a position without a class.

    Shape:
        features ``(N, C, P)``; membership ``(N, K, P)``; labels ``(N, P)``; result ``(N, P)``.

    Returns:
        The cosines, 0 for a position without a class.
    """
    cosines: Tensor = _ClassCosines.apply(features, membership, labels)  # type: ignore[no-untyped-call]
    return cosines


class _ClassCosines(torch.autograd.Function):
    """Cosines with class means that keep no second map for the gradient.

    The features enter through their norms, their products with the means and the means themselves;
    autograd would hold a map of gradients for each of the three.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, membership: Tensor, labels: Tensor) -> Tensor:
        index = labels.clamp_min(0)[:, None]
        means, counts = class_means(features, membership)
        norms = length(features, dim=1)[:, 0].clamp_min(SHORTEST)
        mean_norms = length(means, dim=1)[:, 0].clamp_min(SHORTEST)
        products = (means / mean_norms[:, None]).mT @ features
        cosines = products.gather(1, index)[:, 0] / norms * (labels >= 0)
        ctx.save_for_backward(features, membership, means, counts, norms, mean_norms, cosines)
        return cosines

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        r"""Return the gradient, using a single map.

        With f a position, m its class mean, c their cosine and g the incoming gradient,
        c = f·m / (|f| |m|) sends g (m/|m| - c f/|f|) / |f| to f directly, and
        (Σ g f/|f| - m/|m| Σ g c) / (|m| count), summed over the class, through the mean.
        Where a norm is below the shortest length it is a constant, so its term drops out.
        """
        features, membership, means, counts, norms, mean_norms, cosines = ctx.saved_tensors
        scaled = upstream / norms
        directions = means / mean_norms[:, None]
        through = features @ (membership * scaled[:, None]).mT
        spread = (membership @ (upstream * cosines)[..., None])[:, None, :, 0]
        through = through - directions * spread * (mean_norms > SHORTEST)[:, None]
        through = through / (mean_norms * counts.clamp_min(1))[:, None]
        gradient = features * (-scaled * cosines / norms * (norms > SHORTEST))[:, None]
        gradient.baddbmm_(directions, membership * scaled[:, None])
        gradient.baddbmm_(through, membership)
        return gradient, None, None
