"""What a dataset holds, and what in it would stop or spoil a training, before one starts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from segdistill.data.build import build_dataset
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes, Sample, SegDataset


@dataclass
class SplitReport:
    """The contents of one split.

    Attributes:
        images: number of images that the split lists.
        faults: one message per pair that cannot be used.
        without_mask: number of images that have no mask.
        sizes: number of images by ``"height×width"``, the most frequent first.
        pixels: pixels by class name.
        ignored_pixels: pixels without a class.
        images_with: number of images by class, counting those that contain the class.
        mean: mean of red, green and blue, from 0 to 1.
        std: standard deviation of red, green and blue, in the same scale.
    """

    images: int = 0
    faults: list[str] = field(default_factory=list)
    without_mask: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    ignored_pixels: int = 0
    images_with: dict[str, int] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def absent_classes(self) -> list[str]:
        """Classes without a pixel in this split."""
        return [name for name, count in self.pixels.items() if count == 0]


@dataclass
class DataReport:
    """The contents of a dataset.

    Attributes:
        splits: report by split.
        duplicates: groups of ``split/name`` whose images are equal in every pixel.
        leaks: those groups that lie in more than one split.
    """

    splits: dict[str, SplitReport]
    duplicates: list[list[str]]
    leaks: list[list[str]]

    @property
    def faults(self) -> list[str]:
        """Everything that would stop a training, over all splits."""
        return [fault for report in self.splits.values() for fault in report.faults]

    @property
    def warnings(self) -> list[str]:
        """What would not stop a training but should be known."""
        messages = [
            f"same image in more than one split: {', '.join(group)}" for group in self.leaks
        ]
        for split, report in self.splits.items():
            if report.absent_classes and report.images > report.without_mask:
                messages.append(f"{split}: no pixel of {', '.join(report.absent_classes)}")
            if len(report.sizes) > 1:
                messages.append(f"{split}: images of {len(report.sizes)} sizes")
        return messages

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists and numbers."""
        splits = {
            name: {**asdict(report), "absent_classes": report.absent_classes}
            for name, report in self.splits.items()
        }
        return {
            "splits": splits,
            "duplicates": self.duplicates,
            "leaks": self.leaks,
            "faults": self.faults,
            "warnings": self.warnings,
        }


def inspect_data(
    options: Mapping[str, object],
    splits: Sequence[str],
    *,
    workers: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
    open_split: Callable[[str], SegDataset] | None = None,
    images_only: Collection[str] = (),
) -> DataReport:
    """Read every image and mask of some splits of a dataset once.

    Args:
        options: config of the dataset, as for :func:`~segdistill.data.build_dataset`.
        splits: names of the splits; the first is the one that is trained on.
        workers: number of threads that read.
        progress: called with split, images done and images in all.
        open_split: opens a split by name, where the dataset itself has none of that name, such
            as a part that is held out.
        images_only: splits that need no masks.

    Returns:
        Counts, sizes, class frequencies, mean and deviation, and every fault. A split that
        cannot be built is a fault, not an error; so is a training split in which no image has a
        mask, and any other split in which one has none.
    """
    reports: dict[str, SplitReport] = {}
    names_by_digest: dict[str, list[str]] = {}
    for split in splits:
        try:
            dataset = open_split(split) if open_split else build_dataset(options, split=split)
        except DataError as error:
            reports[split] = SplitReport(faults=[str(error)])
            continue
        tally = _Tally(dataset.classes)
        with ThreadPoolExecutor(workers) as pool:
            facts = pool.map(partial(_read, dataset), range(len(dataset)))
            for done, fact in enumerate(facts, start=1):
                tally.add(fact)
                if isinstance(fact, _Facts):
                    names_by_digest.setdefault(fact.digest, []).append(f"{split}/{fact.name}")
                if progress is not None:
                    progress(split, done, len(dataset))
        report = reports[split] = tally.report()
        needed = len(dataset) if split == splits[0] else 1
        if report.without_mask >= needed and split not in images_only:
            report.faults.append(
                f"{split}: expected masks, got none for {report.without_mask} of "
                f"{len(dataset)} images; training images without masks go into data.unlabelled"
            )
    duplicates = [group for group in names_by_digest.values() if len(group) > 1]
    leaks = [group for group in duplicates if len({name.split("/")[0] for name in group}) > 1]
    return DataReport(reports, duplicates, leaks)


def find_faults(dataset: SegDataset, *, workers: int = 2) -> list[str]:
    """Read every image and mask, and return one message per pair that cannot be used.

    Args:
        dataset: images with masks.
        workers: number of threads that read.

    Returns:
        The messages in the order of the dataset; empty where all pairs are sound.
    """

    def fault(index: int) -> str | None:
        try:
            dataset[index]
        except DataError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(workers) as pool:
        return [message for message in pool.map(fault, range(len(dataset))) if message]


def verify(dataset: SegDataset, *, workers: int = 2) -> None:
    """Read every image and mask once, and refuse a dataset with broken pairs.

    Args:
        dataset: images with masks.
        workers: number of threads that read.

    Raises:
        DataError: a pair is broken; all broken ones are listed.
    """
    faults = find_faults(dataset, workers=workers)
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise DataError(
            f"verify: expected {len(dataset)} sound pairs, got {len(faults)} broken; "
            f"correct or remove them:{listed}"
        )


@dataclass(frozen=True)
class _Facts:
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


def _read(dataset: SegDataset, index: int) -> _Facts | str:
    """Return the facts of one sample, or what is wrong with it."""
    try:
        sample: Sample = dataset[index]
    except DataError as error:
        return str(error)
    image = np.ascontiguousarray(sample.image)
    digest = hashlib.blake2b(image.data, digest_size=16, salt=str(image.shape).encode()[:16])
    values = np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])
    scale = np.arange(256) / 255
    moments = np.stack([values.sum(1), values @ scale, values @ scale**2])
    labels = None
    if sample.mask is not None:
        labels = np.bincount(np.ascontiguousarray(sample.mask).ravel(), minlength=256)
    height, width = image.shape[:2]
    return _Facts(sample.name, digest.hexdigest(), (height, width), labels, moments)


class _Tally:
    """Sums over a split."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.images = self.without_mask = 0
        self.faults: list[str] = []
        self.sizes: Counter[str] = Counter()
        self.labels = np.zeros(256, dtype=np.int64)
        self.images_with = np.zeros(256, dtype=np.int64)
        self.moments = np.zeros((3, 3))

    def add(self, facts: _Facts | str) -> None:
        self.images += 1
        if isinstance(facts, str):
            self.faults.append(facts)
            return
        self.sizes["×".join(map(str, facts.size))] += 1
        self.moments += facts.moments
        if facts.labels is None:
            self.without_mask += 1
        else:
            self.labels += facts.labels
            self.images_with += facts.labels > 0

    def report(self) -> SplitReport:
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
