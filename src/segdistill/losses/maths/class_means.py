"""Sums of feature vectors by class and image: one product with a one-hot matrix."""

import torch
from torch import Tensor


def one_hot(labels: Tensor, *, classes: int, dtype: torch.dtype) -> Tensor:
    """Return the class of each position, one-hot; a label outside the classes has none.

    Args:
        labels: int64 class ids.
        classes: number of classes, :math:`K`.
        dtype: of the result.

    Shape:
        labels ``(N, P)``; result ``(N, K, P)``.
    """
    every = torch.arange(classes, device=labels.device)
    return (labels[:, None] == every[:, None]).to(dtype)


def class_means(features: Tensor, membership: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean feature of each class in each image, and the number of its positions.

    A product with the one-hot matrix of K rows is a single pass over the features and deterministic
    on every device; adding by index is neither on a GPU.

    Args:
        features: feature vectors by position.
        membership: see :func:`one_hot`, in the dtype of the features.

    Shape:
        features ``(N, C, P)``; membership ``(N, K, P)``; means ``(N, C, K)``; counts
        ``(N, K)``.

    Returns:
        The means, 0 for a class without positions, and the counts.
    """
    counts = membership.sum(dim=2)
    return features @ membership.mT / counts[:, None].clamp_min(1), counts
