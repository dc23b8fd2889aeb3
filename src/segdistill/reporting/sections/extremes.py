"""Worst and best images: those on which a method gains and loses most, by mIoU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.image_scores import image_miou, worst_and_best
from segdistill.reporting.groups import Group, baseline_of
from segdistill.reporting.material import Material
from segdistill.runs.confusion import read_image_counts


@dataclass(frozen=True)
class Extreme:
    """An image on which a method and the plain student differ most.

    Attributes:
        image: its name.
        plain: mIoU of the plain student on it, averaged over seeds.
        method: the same for the method.
    """

    image: str
    plain: float
    method: float

    @property
    def change(self) -> float:
        """Method minus plain."""
        return self.method - self.plain


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the extreme images of every method, None if runs have kept no counts per image."""
    by_method = extremes(material)
    if not by_method:
        return None
    changes = [abs(extreme.change) for rows in by_method.values() for extreme in rows]
    return {
        "extremes": by_method,
        "widest": max(changes) or 1.0,
        "colors": material.colors,
        "several": material.several_seeds,
    }


def extremes(material: Material, *, count: int = 3) -> dict[str, list[Extreme]]:
    """Return, by group, the images with the largest gains and those with the largest losses.

    Args:
        material: the runs to compare; groups without a baseline are left out.
        count: maximum number of each; no image is in both.

    Returns:
        The images from the largest gain to the largest loss.
    """
    kept: dict[Path, dict[str, float]] = {}
    by_method = {}
    for group in material.groups:
        baseline = baseline_of(group, material.groups)
        if baseline is None:
            continue
        method, plain = (_mean(one, group, kept) for one in (group, baseline))
        names = [name for name in method if name in plain]
        changes = np.array([method[name] - plain[name] for name in names], dtype=np.float64)
        worst, best = worst_and_best(changes, count=count)
        rows = [
            Extreme(names[number], plain[names[number]], method[names[number]])
            for number in [*best, *reversed(worst)]
        ]
        if rows:
            by_method[group.label] = rows
    return by_method


def _mean(group: Group, compared: Group, kept: dict[Path, dict[str, float]]) -> dict[str, float]:
    """Return the mIoU of each image, averaged over the runs of the compared seeds."""
    runs = [run for run in group.runs if run.seeds in compared.summary.differences]
    for run in runs:
        if run.folder not in kept:
            kept[run.folder] = image_scores(run.folder)
    tables = [kept[run.folder] for run in runs]
    if not tables:
        return {}
    names = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: float(np.mean([table[name] for table in tables])) for name in names}


def image_scores(folder: Path) -> dict[str, float]:
    """Return the mIoU of each image with labels, empty if the run has kept no counts."""
    kept = read_image_counts(folder)
    if kept is None:
        return {}
    scores = zip(kept.names, image_miou(kept.counts).tolist(), strict=True)
    return {name: score for name, score in scores if not np.isnan(score)}
