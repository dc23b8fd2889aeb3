"""Boundary IoU: the IoU of the pixels near the edges of objects."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from torch import Tensor

from segdistill.types import IGNORE_INDEX

SHARE = 0.02
"""Width of the boundary, as a share of the image's diagonal."""


class BoundaryIoU:
    r"""Mean boundary IoU over the classes for a whole dataset.

    With :math:`G^k, P^k` the pixels of class :math:`k` in labels and prediction, and the index
    :math:`d` for those within :math:`d` pixels (in a square) of another class or the image's
    border,

    .. math:: \text{IoU}_k = \frac{\sum |G_d^k \cap P_d^k|}{\sum |G_d^k \cup P_d^k|}

    where both sums run over the images. Unlabelled pixels are not counted; for the boundaries of
    the labels they are another class. Time does not depend on the number of classes.

    Args:
        classes: number of classes.

    Source:
        Cheng et al., "Boundary IoU", CVPR 2021, Eq. 1, d at 2 % of the diagonal; summed over images
        as mIoU is.
    """

    def __init__(self, classes: int) -> None:
        self._both = np.zeros(classes, dtype=np.int64)
        self._either = np.zeros(classes, dtype=np.int64)

    def update(self, prediction: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            prediction: class ids.
            labels: class ids, 255 where a pixel is ignored.

        Shape:
            both ``(N, H, W)``.
        """
        for ids, truth in zip(prediction.cpu().numpy(), labels.cpu().numpy(), strict=True):
            width = boundary_width(*truth.shape)
            counted = truth != IGNORE_INDEX
            own = boundary(truth, width) & counted
            theirs = boundary(ids, width) & counted
            both = own & theirs & (truth == ids)
            hits = self._count(truth[both])
            self._both += hits
            self._either += self._count(truth[own]) + self._count(ids[theirs]) - hits

    def add(self, other: BoundaryIoU) -> None:
        """Add the pixels of other images."""
        self._both += other._both
        self._either += other._either

    def counts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the pixels of intersection and union by class, of which :meth:`score` is made."""
        return tuple(self._both.tolist()), tuple(self._either.tolist())

    def score(self) -> float:
        """Return the mean over the classes with a boundary; 0 if there are none."""
        present = self._either > 0
        return float((self._both[present] / self._either[present]).mean()) if present.any() else 0.0

    def _count(self, ids: np.ndarray) -> np.ndarray:
        counts: np.ndarray = np.bincount(ids, minlength=len(self._both))
        return counts


def boundary_width(height: int, width: int) -> int:
    """Return the width of an image's boundary in px: 2 % of its diagonal, at least 1."""
    return max(1, round(SHARE * math.hypot(height, width)))


def boundary(ids: np.ndarray, width: int) -> np.ndarray:
    """Return where a square of ``2 width + 1`` px around a pixel has another id or ends the image.

    Args:
        ids: class ids of one image, or 255.
        width: in px.

    Shape:
        ids ``(H, W)``; result bool ``(H, W)``.
    """
    size = 2 * width + 1
    wide = ids.astype(np.int32)
    inside = np.zeros(ids.shape, dtype=bool)
    inside[width : max(width, len(ids) - width), width : max(width, ids.shape[1] - width)] = True
    largest = ndimage.maximum_filter(wide, size, mode="nearest")
    smallest = ndimage.minimum_filter(wide, size, mode="nearest")
    near: np.ndarray = (largest != smallest) | ~inside
    return near
