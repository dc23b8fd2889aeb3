"""The worst and the best images of a split, collected during one pass over it."""

from __future__ import annotations

import numpy as np

from segdistill.image_scores import image_miou
from segdistill.types import Sample

Seen = tuple[Sample, np.ndarray]
"""An image and its prediction."""


class Extremes:
    """Keeps the images with the lowest and the highest mIoU.

    Args:
        count: number of images kept at either end.
        classes: number of classes.
    """

    def __init__(self, count: int, classes: int) -> None:
        self.count = count
        self.classes = classes
        self._worst: list[tuple[float, Seen]] = []
        self._best: list[tuple[float, Seen]] = []

    @property
    def kept(self) -> list[Seen]:
        """The worst images, worst first, then the best, best first."""
        return [seen for _, seen in [*self._worst, *self._best]]

    def see(self, sample: Sample, prediction: np.ndarray) -> None:
        """Consider one image; an image without labelled pixels is skipped.

        Args:
            sample: image and mask.
            prediction: class ids.

        Shape:
            prediction ``(H, W)``, as the mask.
        """
        if not self.count or sample.mask is None:
            return
        labelled = sample.mask < self.classes
        pairs = self.classes * sample.mask[labelled].astype(np.int64) + prediction[labelled]
        counts = np.bincount(pairs, minlength=self.classes**2).astype(np.int64)
        score = float(image_miou(counts.reshape(1, self.classes, self.classes))[0])
        if not np.isnan(score):
            seen = score, (sample, prediction.copy())  # a view would keep its whole batch alive
            self._worst = sorted([*self._worst, seen], key=lambda entry: entry[0])[: self.count]
            self._best = sorted([*self._best, seen], key=lambda entry: -entry[0])[: self.count]
