"""The images that a method helps most and least, by the mIoU of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.reporting.groups import Group, Seeds
from segdistill.reporting.runs import Run

COUNTS_FILE = "confusion_images.npz"


@dataclass(frozen=True)
class Extreme:
    """An image where a method and the plain student differ much.

    Attributes:
        image: its name.
        plain: mIoU of the plain student on it, mean over seeds.
        method: that of the method.
    """

    image: str
    plain: float
    method: float

    @property
    def change(self) -> float:
        """Method minus plain."""
        return self.method - self.plain


def image_miou(run: Run) -> dict[str, float]:
    """Return the mIoU of each image, empty where the run kept no counts.

    The classes of an image are those that its truth or its prediction contain.
    """
    file = run.folder / COUNTS_FILE
    if not file.exists():
        return {}
    with np.load(file, allow_pickle=False) as arrays:
        counts, names = arrays["counts"], arrays["names"]
    hits = np.diagonal(counts, axis1=1, axis2=2)
    unions = counts.sum(axis=1) + counts.sum(axis=2) - hits
    present = unions > 0
    iou = np.divide(hits, unions, out=np.zeros(hits.shape), where=present)
    means = iou.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return {
        str(name): float(mean)
        for name, mean, any_class in zip(names, means, present.any(axis=1), strict=True)
        if any_class
    }


def extremes(groups: Sequence[Group], *, count: int = 3) -> dict[str, list[Extreme]]:
    """Return, by group, the images with the largest gains and those with the largest losses.

    Args:
        groups: as they are compared; those without a baseline are left out.
        count: how many of each; no image is in both.

    Returns:
        From the largest gain to the largest loss.
    """
    found = {}
    read: dict[Path, dict[str, float]] = {}
    for one in groups:
        base = next((other for other in groups if other.label == one.baseline), None)
        if base is None:
            continue
        method, plain = (_mean(_of(group, one.paired, read)) for group in (one, base))
        names = [name for name in method if name in plain]
        both = [Extreme(name, plain[name], method[name]) for name in names]
        both.sort(key=lambda extreme: (-extreme.change, extreme.image))
        if both:
            found[one.label] = both if len(both) <= 2 * count else both[:count] + both[-count:]
    return found


def _of(
    group: Group, seeds: Sequence[Seeds], read: dict[Path, dict[str, float]]
) -> list[Mapping[str, float]]:
    runs = [run for run in group.runs if run.seeds in seeds]
    for run in runs:
        if run.folder not in read:
            read[run.folder] = image_miou(run)
    return [read[run.folder] for run in runs]


def _mean(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each image that all tables have."""
    if not tables:
        return {}
    names = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: float(np.mean([table[name] for table in tables])) for name in names}
