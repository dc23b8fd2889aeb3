"""The worst and the best images of a split, collected during one pass over it."""

from __future__ import annotations

import numpy as np

from segdistill.image_scores import image_miou
from segdistill.types import Sample

Seen = tuple[Sample, np.ndarray]
"""An image and its prediction."""

_Scored = tuple[float, Seen]


class Extremes:
    """Keeps the images with the lowest and the highest mIoU.

    Args:
        count: number of images kept at either end.
        classes: number of classes.
    """

    def __init__(self, count: int, classes: int) -> None:
        self.count = count
        self.classes = classes
        self._worst: list[_Scored] = []
        self._best: list[_Scored] = []

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
            self._keep([seen], [seen])

    def add(self, other: Extremes) -> None:
        """Consider the images that another object has seen, which come after this one's."""
        self._keep(other._worst, other._best)

    def _keep(self, low: list[_Scored], high: list[_Scored]) -> None:
        self._worst = sorted([*self._worst, *low], key=lambda entry: entry[0])[: self.count]
        self._best = sorted([*self._best, *high], key=lambda entry: -entry[0])[: self.count]
