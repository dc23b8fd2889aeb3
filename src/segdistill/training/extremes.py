"""The worst and the best images of a pass over a split, kept while it goes on."""

from __future__ import annotations

import numpy as np

from segdistill.image_scores import image_miou
from segdistill.types import Sample

Seen = tuple[Sample, np.ndarray]
"""An image and what was predicted for it."""


class Extremes:
    """Keeps the images of lowest and of highest mIoU, few at a time.

    Args:
        count: images kept of either end.
        classes: how many.
    """

    def __init__(self, count: int, classes: int) -> None:
        self.count = count
        self.classes = classes
        self._worst: list[tuple[float, Seen]] = []
        self._best: list[tuple[float, Seen]] = []

    @property
    def kept(self) -> list[Seen]:
        """The worst images, worst first, and the best, best first; none twice in a long split."""
        return [seen for _, seen in [*self._worst, *self._best]]

    def see(self, sample: Sample, prediction: np.ndarray) -> None:
        """Look at one image; without a labelled pixel it is neither good nor bad.

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
            seen = score, (sample, prediction.copy())  # else its whole batch would stay
            self._worst = sorted([*self._worst, seen], key=lambda one: one[0])[: self.count]
            self._best = sorted([*self._best, seen], key=lambda one: -one[0])[: self.count]
