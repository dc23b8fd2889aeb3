"""Rare-class sampling: some images are drawn because they contain a rare class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from segdistill.data.parts import read_mask_of
from segdistill.errors import DataError
from segdistill.seeding import draws
from segdistill.types import IGNORE_INDEX, SegDataset

_MIN_SHARE = 3000 / (1914 * 1052)  # DAFormer's min_pixels, of GTA's frames, where it was chosen


@dataclass(frozen=True)
class RareClasses:
    """How often each class is drawn, and which images contain it.

    Attributes:
        probabilities: probability of each class; 0 if no image contains it.
        images: for each class, indices of the images to draw from.
        share: share of the samples that are drawn this way; the others are drawn by epochs.
    """

    probabilities: tuple[float, ...]
    images: tuple[np.ndarray, ...]
    share: float

    def draw(self, seed: int, step: int, position: int) -> tuple[int, int] | None:
        """Return an image and the class that it was drawn for, or None for an ordinary sample.

        Args:
            seed: the stream's seed.
            step: number of the batch.
            position: index of the sample in the global batch.
        """
        draw = draws(seed, "rare", step, position)
        if draw.random() >= self.share:
            return None
        (wanted,) = draw.choices(range(len(self.probabilities)), self.probabilities)
        images = self.images[wanted]
        return int(images[draw.randrange(len(images))]), wanted


def rare_classes(pixels: np.ndarray, *, temperature: float, share: float) -> RareClasses:
    """Return how to draw images by class, from how many pixels of each class they have.

    With f_c the share of class c among all labelled pixels, class c is drawn with

        P(c) = exp((1 − f_c) / T) / Σ_k exp((1 − f_k) / T)

    and then, all with equal probability, one of the images where it fills at least 0.15 % of
    the labelled pixels, or, where it never does, one of those that contain it. The published
    code asks for 3000 px of frames of 1914 × 1052; here that is a share, for any image size.

    Args:
        pixels: labelled pixels by image and class.
        temperature: T, above 0.
        share: share of the samples that are drawn this way.

    Shape:
        pixels int64 ``(images, classes)``.

    Raises:
        DataError: no image has a labelled pixel.

    Source:
        Hoyer, Dai and Van Gool, "DAFormer: Improving Network Architectures and Training
        Strategies for Domain-Adaptive Semantic Segmentation", CVPR 2022, arXiv:2111.14887,
        Sec. 3.3; the 3000 px from lhoyer/DAFormer.
    """
    totals = pixels.sum(axis=0)
    if totals.sum() == 0:
        raise DataError("rare_class: expected images with labels, got none; set data.rare_class=0")
    present = totals > 0
    # Less the largest exponent, so that exp does not overflow: 1 / T may be 100.
    exponents = (1 - totals / totals.sum()) / temperature
    weights = np.where(present, np.exp(exponents - exponents[present].max()), 0.0)
    labelled = np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    images = []
    for large, any_pixel in zip((pixels >= _MIN_SHARE * labelled).T, (pixels > 0).T, strict=True):
        chosen = large & any_pixel if (large & any_pixel).any() else any_pixel
        images.append(np.flatnonzero(chosen).astype(np.int32))
    probabilities = tuple(float(weight) for weight in weights / weights.sum())
    return RareClasses(probabilities, tuple(images), share)


def count_pixels(dataset: SegDataset, *, skip_broken: bool = False, workers: int = 2) -> np.ndarray:
    """Read every mask once and count the pixels of each class.

    Args:
        dataset: images with masks.
        skip_broken: count 0 for a mask that cannot be read.
        workers: number of threads that read.

    Shape:
        Result int64 ``(images, classes)``.

    Raises:
        DataError: a mask cannot be read, and ``skip_broken`` is not set.
    """
    classes = len(dataset.classes)

    def count(index: int) -> np.ndarray:
        try:
            mask = read_mask_of(dataset, index)
        except DataError:
            if not skip_broken:
                raise
            mask = None
        if mask is None:
            return np.zeros(classes, dtype=np.int64)
        counts = np.bincount(np.ascontiguousarray(mask).ravel(), minlength=IGNORE_INDEX + 1)
        return counts[:classes].astype(np.int64)

    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(pool.map(count, range(len(dataset)))))
