"""The facts of each sample of a split, and their sums."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from segdistill.data.data_report import SplitReport
from segdistill.data.files.facts import FileFacts, file_facts
from segdistill.data.parts import (
    files_of,
)
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes, Sample, SegDataset


@dataclass(frozen=True)
class SampleFacts:
    """What is kept of one sample.

    Attributes:
        labels: pixels by value of the mask, None without a mask.
        moments: count, sum and sum of squares, each of red, green and blue.
    """

    name: str
    digest: str
    size: tuple[int, int]
    labels: np.ndarray | None
    moments: np.ndarray
    files: FileFacts | None


@dataclass(frozen=True)
class BrokenSample:
    """What is kept of one sample that cannot be read."""

    fault: str
    files: FileFacts | None


def read_facts(dataset: SegDataset, index: int) -> SampleFacts | BrokenSample:
    """Return the facts of one sample, or what is wrong with it."""
    try:
        sample: Sample = dataset[index]
    except DataError as error:
        return BrokenSample(str(error), _file_facts(dataset, index))
    image = np.ascontiguousarray(sample.image)
    digest = hashlib.blake2b(image.data, digest_size=16, salt=str(image.shape).encode()[:16])
    values = np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])
    scale = np.arange(256) / 255
    moments = np.stack([values.sum(1), values @ scale, values @ scale**2])
    labels = None
    if sample.mask is not None:
        labels = np.bincount(np.ascontiguousarray(sample.mask).ravel(), minlength=256)
    height, width = image.shape[:2]
    files = _file_facts(dataset, index)
    return SampleFacts(sample.name, digest.hexdigest(), (height, width), labels, moments, files)


def _file_facts(dataset: SegDataset, index: int) -> FileFacts | None:
    files = files_of(dataset, index)
    return file_facts(files[0], files[1] if len(files) > 1 else None) if files else None


class Tally:
    """Sums over a split.

    Args:
        classes: of the dataset.
    """

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.images = self.without_mask = 0
        self.faults: list[str] = []
        self.files: list[FileFacts] = []
        self.sizes: Counter[str] = Counter()
        self.labels = np.zeros(256, dtype=np.int64)
        self.images_with = np.zeros(256, dtype=np.int64)
        self.moments = np.zeros((3, 3))

    def add(self, sample: SampleFacts | BrokenSample) -> None:
        """Count one sample."""
        self.images += 1
        if sample.files is not None:
            self.files.append(sample.files)
        if isinstance(sample, BrokenSample):
            self.faults.append(sample.fault)
            return
        self.sizes["×".join(map(str, sample.size))] += 1
        self.moments += sample.moments
        if sample.labels is None:
            self.without_mask += 1
        else:
            self.labels += sample.labels
            self.images_with += sample.labels > 0

    def report(self) -> SplitReport:
        """Return the sums as a report without warnings."""
        count, total, squares = self.moments
        mean = total / np.maximum(count, 1)
        std = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
        names = self.classes.names
        return SplitReport(
            images=self.images,
            faults=self.faults,
            without_mask=self.without_mask,
            sizes=dict(self.sizes.most_common()),
            pixels={name: int(self.labels[i]) for i, name in enumerate(names)},
            ignored_pixels=int(self.labels[IGNORE_INDEX]),
            images_with={name: int(self.images_with[i]) for i, name in enumerate(names)},
            mean=tuple(round(float(value), 4) for value in mean),
            std=tuple(round(float(value), 4) for value in std),
        )
