"""Calibration: is a network that is 80 % certain wrong in 20 % of the pixels?"""

from __future__ import annotations

import torch
from torch import Tensor

from segdistill.types import IGNORE_INDEX

BINS = 15


class Calibration:
    r"""The expected calibration error of all labelled pixels, in bins of equal width.

    .. math:: ECE = \sum_b \frac{|B_b|}{N} \, |\text{acc}(B_b) - \text{conf}(B_b)|, \qquad
        B_b = \{p : \lceil 15 \, c_p \rceil = b\},

    with :math:`c_p` the probability of the class that is predicted at pixel :math:`p`.

    Source:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Eq. 3, with its 15 bins.
    """

    def __init__(self) -> None:
        self._pixels = torch.zeros(BINS, dtype=torch.int64)
        self._right = torch.zeros(BINS, dtype=torch.int64)
        self._confidence = torch.zeros(BINS, dtype=torch.float64)

    def update(self, confidences: Tensor, prediction: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            confidences: probability of the predicted class, float in [0, 1].
            prediction: class ids.
            labels: class ids, 255 where a pixel is ignored.

        Shape:
            all ``(N, H, W)``.
        """
        counted = labels != IGNORE_INDEX
        sure = confidences[counted].double()
        bins = (sure * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
        right = prediction[counted] == labels[counted]
        self._pixels += torch.bincount(bins, minlength=BINS).cpu()
        self._right += torch.bincount(bins[right], minlength=BINS).cpu()
        # On the host: a GPU would add up in another order every time.
        self._confidence += torch.bincount(bins.cpu(), weights=sure.cpu(), minlength=BINS)

    def add(self, other: Calibration) -> None:
        """Add the pixels of other images."""
        self._pixels += other._pixels
        self._right += other._right
        self._confidence += other._confidence

    def counts(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
        """Return pixels, right pixels and the sum of confidences by bin."""
        return (
            tuple(self._pixels.tolist()),
            tuple(self._right.tolist()),
            tuple(self._confidence.tolist()),
        )

    def error(self) -> float:
        """Return the expected calibration error, from 0 to 1; nan without any counted pixel."""
        return float((self._right - self._confidence).abs().sum() / self._pixels.sum())
