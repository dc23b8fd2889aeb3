"""What a dataset holds, and what in it would stop or spoil a training, before one starts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from segdistill.config.splits import shared_splits
from segdistill.data.build import build_dataset
from segdistill.data.files.facts import FileFacts, file_facts
from segdistill.data.findings import file_faults, file_warnings, label_faults, label_warnings
from segdistill.data.parts import (
    describe_classes,
    files_of,
    looks_up_colors,
    pixels_of,
    read_mask_of,
)
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes, Sample, SegDataset

_MOST_LISTED = 10


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
        warnings: what would not stop a training but should be known.
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
    warnings: list[str] = field(default_factory=list)

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
        classes: one line for each class: id, name, colour and what masks store for it.
    """

    splits: dict[str, SplitReport]
    duplicates: list[list[str]]
    leaks: list[list[str]]
    classes: list[str] = field(default_factory=list)

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
            messages.extend(report.warnings)
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
            "classes": self.classes,
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
    datasets: dict[str, SegDataset | DataError] = {}
    for split in splits:
        try:
            datasets[split] = (
                open_split(split) if open_split else build_dataset(options, split=split)
            )
        except DataError as error:
            datasets[split] = error
    return inspect_splits(datasets, workers=workers, progress=progress, images_only=images_only)


def inspect_splits(
    datasets: Mapping[str, SegDataset | DataError],
    *,
    sample: int | None = None,
    skip_broken: bool = False,
    workers: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
    images_only: Collection[str] = (),
) -> DataReport:
    """Read the images and masks of open splits, all or a sample of each.

    Of a sample, too, every fault is one: masks are read on until two classes are seen, or the
    whole split was read.

    Args:
        datasets: by split, that which is trained on first; an error is that split's fault.
        sample: how many images of each split, evenly spread; all by default.
        skip_broken: pairs that cannot be read are no faults, but warnings.
        workers: threads that read.
        progress: called with split, images done and images in all.
        images_only: splits that need no masks.

    Returns:
        As :func:`inspect_data`; counts are those of the images that were read.
    """
    reports: dict[str, SplitReport] = {}
    names_by_digest: dict[str, list[str]] = {}
    classes: list[str] = []
    trained = next(iter(datasets), "")
    for split, dataset in datasets.items():
        if isinstance(dataset, DataError):
            reports[split] = SplitReport(faults=[str(dataset)])
            continue
        tally = _Tally(dataset.classes)
        indices = spread(len(dataset), sample)
        with ThreadPoolExecutor(workers) as pool:
            facts = pool.map(partial(_read, dataset), indices)
            for done, fact in enumerate(facts, start=1):
                tally.add(fact)
                if isinstance(fact, _Facts):
                    names_by_digest.setdefault(fact.digest, []).append(f"{split}/{fact.name}")
                if progress is not None:
                    progress(split, done, len(indices))
        report = reports[split] = tally.report()
        if skip_broken:
            report.warnings, report.faults = report.faults, []
        needed = len(indices) if split == trained else 1
        if report.without_mask >= needed and split not in images_only:
            report.faults.append(
                f"{split}: expected masks, got none for {report.without_mask} of "
                f"{len(indices)} images; training images without masks go into data.unlabelled"
            )
        elif split not in images_only and report.sizes:
            classes = classes or describe_classes(dataset)
            _judge_labels(split, dataset, tally, indices, report, trained=split == trained)
        how = pixels_of(dataset)
        by_id = not looks_up_colors(dataset)
        report.faults.extend(file_faults(split, tally.files, how, by_id=by_id))
        report.warnings.extend(file_warnings(split, tally.files, how))
    duplicates = [group for group in names_by_digest.values() if len(group) > 1]
    for split, report in reports.items():
        both = shared_splits(trained, split) if split != trained else []
        if both:
            names = " and ".join(both)
            report.warnings.append(f"{split}: {names} is trained on too: its score is too high")
    return DataReport(reports, duplicates, _leaks(duplicates), classes)


def _leaks(duplicates: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the groups of equal images that lie in splits which share none by name."""

    def leak(group: Sequence[str]) -> bool:
        splits = sorted({name.split("/")[0] for name in group})
        return any(not shared_splits(*two) for two in combinations(splits, 2))

    return [list(group) for group in duplicates if leak(group)]


def refuse_faults(who: str, report: DataReport) -> None:
    """Raise a DataError with the first faults of a report, or return where there are none."""
    if report.faults:
        listed = "".join(f"\n  {fault}" for fault in report.faults[:_MOST_LISTED])
        more = len(report.faults) - _MOST_LISTED
        listed += f"\n  and {more} more" if more > 0 else ""
        raise DataError(
            f"{who}: expected data that can be trained on and scored, got {len(report.faults)} "
            f"faults; correct them:{listed}"
        )


def spread(count: int, sample: int | None) -> list[int]:
    """Return ``sample`` of ``count`` indices, evenly spread; all where there are no more."""
    if sample is None or sample >= count:
        return list(range(count))
    return sorted({(2 * place + 1) * count // (2 * sample) for place in range(sample)})


def _judge_labels(
    split: str,
    dataset: SegDataset,
    tally: _Tally,
    indices: Sequence[int],
    report: SplitReport,
    *,
    trained: bool,
) -> None:
    """Add what the labels are faulty in; masks beyond a sample are read while in doubt."""
    labels = tally.labels.copy()
    seen = set(indices)
    for index in (i for i in range(len(dataset)) if i not in seen):
        if not label_faults(split, dataset.classes, labels, trained=trained):
            break
        mask = _mask_or_none(dataset, index)
        if mask is not None:
            labels += np.bincount(np.ascontiguousarray(mask).ravel(), minlength=256)
    report.faults.extend(label_faults(split, dataset.classes, labels, trained=trained))
    if len(indices) == len(dataset) and labels[: len(dataset.classes)].any():
        report.warnings.extend(label_warnings(split, dataset.classes, labels))


def _mask_or_none(dataset: SegDataset, index: int) -> np.ndarray | None:
    try:
        return read_mask_of(dataset, index)
    except DataError:
        return None


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
    files: FileFacts | None


@dataclass(frozen=True)
class _Broken:
    """What is kept of one sample that cannot be read."""

    fault: str
    files: FileFacts | None


def _read(dataset: SegDataset, index: int) -> _Facts | _Broken:
    """Return the facts of one sample, or what is wrong with it."""
    try:
        sample: Sample = dataset[index]
    except DataError as error:
        return _Broken(str(error), _file_facts(dataset, index))
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
    return _Facts(sample.name, digest.hexdigest(), (height, width), labels, moments, files)


def _file_facts(dataset: SegDataset, index: int) -> FileFacts | None:
    files = files_of(dataset, index)
    return file_facts(files[0], files[1] if len(files) > 1 else None) if files else None


class _Tally:
    """Sums over a split."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.images = self.without_mask = 0
        self.faults: list[str] = []
        self.files: list[FileFacts] = []
        self.sizes: Counter[str] = Counter()
        self.labels = np.zeros(256, dtype=np.int64)
        self.images_with = np.zeros(256, dtype=np.int64)
        self.moments = np.zeros((3, 3))

    def add(self, sample: _Facts | _Broken) -> None:
        self.images += 1
        if sample.files is not None:
            self.files.append(sample.files)
        if isinstance(sample, _Broken):
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
