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

from segdistill.data import build_dataset
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
        warnings: what a training would not stop at but a person should know.
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
    """What was found in a dataset.

    Attributes:
        splits: report by split.
        duplicates: groups of ``split/name`` whose images are the same, pixel by pixel.
        leaks: those groups that lie in more than one split.
        classes: one line for each class: id, name, colour and what masks store for it.
    """

    splits: dict[str, SplitReport]
    duplicates: list[list[str]]
    leaks: list[list[str]]
    classes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """All that a training would stop at, over the splits."""
        return [fault for report in self.splits.values() for fault in report.faults]

    @property
    def warnings(self) -> list[str]:
        """What a training would not stop at but a person should know."""
        said = [f"same image in more than one split: {', '.join(group)}" for group in self.leaks]
        for split, report in self.splits.items():
            said.extend(report.warnings)
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
    places: dict[str, list[str]] = {}
    classes: list[str] = []
    trained = next(iter(datasets), "")
    for split, dataset in datasets.items():
        if isinstance(dataset, DataError):
            reports[split] = SplitReport(faults=[str(dataset)])
            continue
        tally = _Tally(dataset.classes)
        indices = spread(len(dataset), sample)
        with ThreadPoolExecutor(workers) as pool:
            found = pool.map(partial(_look, dataset), indices)
            for done, one in enumerate(found, start=1):
                tally.add(one)
                if isinstance(one, _Look):
                    places.setdefault(one.digest, []).append(f"{split}/{one.name}")
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
        report.faults.extend(file_faults(split, tally.facts, how, by_id=by_id))
        report.warnings.extend(file_warnings(split, tally.facts, how))
    duplicates = [group for group in places.values() if len(group) > 1]
    leaks = [group for group in duplicates if len({name.split("/")[0] for name in group}) > 1]
    return DataReport(reports, duplicates, leaks, classes)


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


@dataclass(frozen=True)
class _Look:
    """What is kept of one sample."""

    name: str
    digest: str
    size: tuple[int, int]
    labels: np.ndarray | None
    moments: np.ndarray
    facts: FileFacts | None


@dataclass(frozen=True)
class _Broken:
    """What is kept of one sample that cannot be read."""

    fault: str
    facts: FileFacts | None


def _look(dataset: SegDataset, index: int) -> _Look | _Broken:
    try:
        sample: Sample = dataset[index]
    except DataError as error:
        return _Broken(str(error), _facts_of(dataset, index))
    image = np.ascontiguousarray(sample.image)
    digest = hashlib.blake2b(image.data, digest_size=16, salt=str(image.shape).encode()[:16])
    values = np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])
    scale = np.arange(256) / 255
    moments = np.stack([values.sum(1), values @ scale, values @ scale**2])
    labels = None
    if sample.mask is not None:
        labels = np.bincount(np.ascontiguousarray(sample.mask).ravel(), minlength=256)
    height, width = image.shape[:2]
    facts = _facts_of(dataset, index)
    return _Look(sample.name, digest.hexdigest(), (height, width), labels, moments, facts)


def _facts_of(dataset: SegDataset, index: int) -> FileFacts | None:
    files = files_of(dataset, index)
    return file_facts(files[0], files[1] if len(files) > 1 else None) if files else None


class _Tally:
    """Sums over a split."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.images = self.without_mask = 0
        self.faults: list[str] = []
        self.facts: list[FileFacts] = []
        self.sizes: Counter[str] = Counter()
        self.labels = np.zeros(256, dtype=np.int64)
        self.images_with = np.zeros(256, dtype=np.int64)
        self.moments = np.zeros((3, 3))

    def add(self, one: _Look | _Broken) -> None:
        self.images += 1
        if one.facts is not None:
            self.facts.append(one.facts)
        if isinstance(one, _Broken):
            self.faults.append(one.fault)
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
