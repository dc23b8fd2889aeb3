"""Scores image by image, and the images on which two models differ most."""

from __future__ import annotations

import torch
from torch import Tensor


def image_miou(counts: Tensor) -> Tensor:
    r"""Return the mIoU of every image by itself, over the classes with a non-empty union there.

    .. math:: m_n = \frac{1}{|P_n|} \sum_{k \in P_n} \text{IoU}_{nk}, \quad
        P_n = \{k : \text{truth or prediction of image } n \text{ contain } k\}

    Its mean over the images is not the mIoU of the split, which is of one matrix of all.

    Args:
        counts: confusion matrix of each image, rows are the truth.

    Shape:
        counts ``(N, K, K)`` int64; result ``(N,)`` float64.

    Returns:
        Values in [0, 1], nan for an image without a labelled pixel.

    Raises:
        ValueError: the counts are not ``(N, K, K)`` int64.
    """
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or counts.dtype != torch.int64:
        raise ValueError(
            f"image_miou: expected int64 counts (N, K, K), got {counts.dtype} "
            f"{tuple(counts.shape)}; evaluate with keep_images=True"
        )
    hits = counts.diagonal(dim1=1, dim2=2)
    unions = counts.sum(dim=1) + counts.sum(dim=2) - hits
    return (hits.double() / unions.double()).nanmean(dim=1)


def worst_and_best(differences: Tensor, *, count: int) -> tuple[list[int], list[int]]:
    """Return the places of the lowest and of the highest differences.

    Args:
        differences: one an image; an image without a number (nan) is left out.
        count: most of each kind; no image is in both.

    Shape:
        differences ``(N,)``.

    Returns:
        The lowest, lowest first, and the highest, highest first; ties in their order.

    Raises:
        ValueError: the differences are not ``(N,)``, or the count is below 1.
    """
    if differences.ndim != 1 or count < 1:
        raise ValueError(
            "worst_and_best: expected differences (N,) and count >= 1, got "
            f"{tuple(differences.shape)} and {count}"
        )
    known = (~differences.isnan()).nonzero().flatten()
    order = known[differences[known].sort(stable=True).indices].tolist()
    most = min(count, (len(order) + 1) // 2)
    worst = order[:most]
    rest = order[most:]
    best = sorted(rest, key=lambda place: (-float(differences[place]), place))[:most]
    return worst, best
