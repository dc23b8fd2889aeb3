"""What a dataset holds, and what in it would spoil a training: before any is started."""

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
    """What was found in one split.

    Attributes:
        images: number of pairs that the split names.
        faults: one message for each pair that cannot be used.
        without_mask: number of images that have no mask.
        sizes: number of images by ``"height×width"``, the most frequent first.
        pixels: pixels by class name.
        ignored_pixels: pixels without a class.
        images_with: number of images by class that is in them.
        mean: of the red, green and blue values, 0 to 1.
        std: of the same.
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
    """What was found in a dataset.

    Attributes:
        splits: report by split.
        duplicates: groups of ``split/name`` whose images are the same, pixel by pixel.
        leaks: those groups that lie in more than one split.
    """

    splits: dict[str, SplitReport]
    duplicates: list[list[str]]
    leaks: list[list[str]]

    @property
    def faults(self) -> list[str]:
        """All that a training would stop at, over the splits."""
        return [fault for report in self.splits.values() for fault in report.faults]

    @property
    def warnings(self) -> list[str]:
        """What a training would not stop at but a person should know."""
        said = [f"same image in more than one split: {', '.join(group)}" for group in self.leaks]
        for split, report in self.splits.items():
            if report.absent_classes and report.images > report.without_mask:
                said.append(f"{split}: no pixel of {', '.join(report.absent_classes)}")
            if len(report.sizes) > 1:
                said.append(f"{split}: images of {len(report.sizes)} sizes")
        return said

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
        splits: names of the splits, that which is trained on first.
        workers: threads that read.
        progress: called with split, images done and images in all.
        open_split: from the name of a split to its images, where it is not one of the
            dataset's own, such as a part that is held out.
        images_only: splits that need no masks.

    Returns:
        Counts, sizes, class frequencies, mean and deviation, and everything at fault. A
        split that cannot be built is a fault, not an error; so are a first split of which no
        image has a mask, and any other split of which one has none.
    """
    reports: dict[str, SplitReport] = {}
    places: dict[str, list[str]] = {}
    for split in splits:
        try:
            dataset = open_split(split) if open_split else build_dataset(options, split=split)
        except DataError as error:
            reports[split] = SplitReport(faults=[str(error)])
            continue
        tally = _Tally(dataset.classes)
        with ThreadPoolExecutor(workers) as pool:
            found = pool.map(partial(_look, dataset), range(len(dataset)))
            for done, one in enumerate(found, start=1):
                tally.add(one)
                if isinstance(one, _Look):
                    places.setdefault(one.digest, []).append(f"{split}/{one.name}")
                if progress is not None:
                    progress(split, done, len(dataset))
        report = reports[split] = tally.report()
        needed = len(dataset) if split == splits[0] else 1
        if report.without_mask >= needed and split not in images_only:
            report.faults.append(
                f"{split}: expected masks, got none for {report.without_mask} of "
                f"{len(dataset)} images; training images without masks go into data.unlabelled"
            )
    duplicates = [group for group in places.values() if len(group) > 1]
    leaks = [group for group in duplicates if len({name.split("/")[0] for name in group}) > 1]
    return DataReport(reports, duplicates, leaks)


def find_faults(dataset: SegDataset, *, workers: int = 2) -> list[str]:
    """Read every image and mask and return what is wrong with each that cannot be used.

    Args:
        dataset: images with masks.
        workers: threads that read.

    Returns:
        One message a broken pair, in the order of the dataset; empty where all are sound.
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
    """Read every image and mask once.

    Raises:
        DataError: some pair is broken; all are listed.
    """
    faults = find_faults(dataset, workers=workers)
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise DataError(
            f"verify: expected {len(dataset)} sound pairs, got {len(faults)} broken; "
            f"correct or remove them:{listed}"
        )


@dataclass(frozen=True)
class _Look:
    """What is kept of one sample."""

    name: str
    digest: str
    size: tuple[int, int]
    labels: np.ndarray | None
    moments: np.ndarray


def _look(dataset: SegDataset, index: int) -> _Look | str:
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
    return _Look(sample.name, digest.hexdigest(), (height, width), labels, moments)


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

    def add(self, one: _Look | str) -> None:
        self.images += 1
        if isinstance(one, str):
            self.faults.append(one)
            return
        self.sizes["×".join(map(str, one.size))] += 1
        self.moments += one.moments
        if one.labels is None:
            self.without_mask += 1
        else:
            self.labels += one.labels
            self.images_with += one.labels > 0

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
