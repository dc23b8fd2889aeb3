"""The score of each image by itself, from its own confusion matrix; numpy alone."""

from __future__ import annotations

import numpy as np


def image_miou(counts: np.ndarray) -> np.ndarray:
    r"""Return the mIoU of each image, over the classes that its truth or prediction contain.

    .. math:: m_n = \frac{1}{|P_n|} \sum_{k \in P_n} \text{IoU}_{nk}, \quad
        P_n = \{k : \text{truth or prediction of image } n \text{ contain } k\}

    The mean over the images is not the mIoU of the split, which comes from the sum of all
    matrices.

    Args:
        counts: confusion matrix of each image, rows are the truth.

    Shape:
        counts ``(N, K, K)`` int64; result ``(N,)`` float64.

    Returns:
        Values in [0, 1], nan for an image without a labelled pixel.

    Raises:
        ValueError: the counts are not ``(N, K, K)`` int64.
    """
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or counts.dtype != np.int64:
        raise ValueError(
            f"image_miou: expected int64 counts (N, K, K), got {counts.dtype} {counts.shape}; "
            "evaluate with keep_images=True"
        )
    hits = np.diagonal(counts, axis1=1, axis2=2)
    unions = counts.sum(axis=1) + counts.sum(axis=2) - hits
    present = unions > 0
    iou = np.divide(hits, unions, out=np.zeros(hits.shape), where=present)
    classes = present.sum(axis=1)
    empty = np.full(len(counts), np.nan)
    miou: np.ndarray = np.divide(iou.sum(axis=1), classes, out=empty, where=classes > 0)
    return miou


def worst_and_best(differences: np.ndarray, *, count: int) -> tuple[list[int], list[int]]:
    """Return the indices of the lowest and of the highest differences.

    Args:
        differences: one per image; an image without one (nan) is left out.
        count: at most so many of either; no image is in both.

    Shape:
        differences ``(N,)``.

    Returns:
        The lowest, lowest first, and the highest, highest first; equal ones in their order.

    Raises:
        ValueError: the differences are not ``(N,)``, or the count is below 1.
    """
    if differences.ndim != 1 or count < 1:
        raise ValueError(
            "worst_and_best: expected differences (N,) and count >= 1, got "
            f"{differences.shape} and {count}"
        )
    known = np.flatnonzero(~np.isnan(differences))
    ascending = known[np.argsort(differences[known], kind="stable")].tolist()
    most = min(count, (len(ascending) + 1) // 2)
    worst, rest = ascending[:most], ascending[most:]
    best = sorted(rest, key=lambda index: (-differences[index], index))[:most]
    return worst, best
