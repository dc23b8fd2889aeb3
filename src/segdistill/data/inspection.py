"""What a dataset contains, and which faults would stop or spoil training, before it starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations

import numpy as np

from segdistill.config.splits import shared_splits
from segdistill.data.build import build_dataset
from segdistill.data.data_report import DataReport, SplitReport
from segdistill.data.findings import file_faults, file_warnings, label_faults, label_warnings
from segdistill.data.parts import (
    describe_classes,
    looks_up_colors,
    no_class_is_255,
    pixels_of,
    read_mask_of,
)
from segdistill.data.tally import SampleFacts, Tally, read_facts
from segdistill.errors import DataError
from segdistill.types import SegDataset


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
        tally = Tally(dataset.classes)
        indices = spread(len(dataset), sample)
        with ThreadPoolExecutor(workers) as pool:
            facts = pool.map(partial(read_facts, dataset), indices)
            for done, fact in enumerate(facts, start=1):
                tally.add(fact)
                if isinstance(fact, SampleFacts):
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
            report.warnings.append(f"{split}: {names} is also trained on, so its score is too high")
    return DataReport(reports, duplicates, _leaks(duplicates), classes)


def _leaks(duplicates: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the groups of equal images that lie in splits which share none by name."""

    def leak(group: Sequence[str]) -> bool:
        splits = sorted({name.split("/")[0] for name in group})
        return any(not shared_splits(*two) for two in combinations(splits, 2))

    return [list(group) for group in duplicates if leak(group)]


def spread(count: int, sample: int | None) -> list[int]:
    """Return ``sample`` of ``count`` indices, evenly spread; all if there are no more."""
    if sample is None or sample >= count:
        return list(range(count))
    return sorted({(2 * place + 1) * count // (2 * sample) for place in range(sample)})


def _judge_labels(
    split: str,
    dataset: SegDataset,
    tally: Tally,
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
    if labels[: len(dataset.classes)].any():
        warnings = label_warnings(split, dataset.classes, labels, to_255=no_class_is_255(dataset))
        part = f" in {len(indices)} of {len(dataset)} images; check --data looks at all"
        whole = len(indices) == len(dataset)
        report.warnings.extend(warning + ("" if whole else part) for warning in warnings)


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
        The messages in the order of the dataset; empty if all pairs are sound.
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
