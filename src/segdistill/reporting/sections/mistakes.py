"""Mistakes: the confusion matrix of each group, summed over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.reporting.plots import row_shares

_MOST_CLASSES = 24  # number of classes of a matrix that fits on a page
_MOST_MISTAKES = 8


@dataclass(frozen=True)
class Mistake:
    """Pixels of one class that were predicted as another.

    Attributes:
        true: the true class.
        predicted: the predicted class.
        share: share of the true class's pixels.
        of_all: share of all labelled pixels.
    """

    true: str
    predicted: str
    share: float
    of_all: float


@dataclass(frozen=True)
class Matrix:
    """A group's confusion matrix.

    Attributes:
        label: label of the group.
        names: names of the classes.
        shares: shares of each true class by predicted class; None for too many classes.
        mistakes: the most frequent mistakes.
    """

    label: str
    names: Sequence[str]
    shares: Sequence[Sequence[float]] | None
    mistakes: Sequence[Mistake]


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the matrices, None if no run has kept one."""
    matrices = [summed for group in material.trained if (summed := matrix(group)) is not None]
    return {"matrices": matrices} if matrices else None


def matrix(group: Group) -> Matrix | None:
    """Return the summed matrix of a group's runs, None if they have kept none."""
    kept = [run.confusion for run in group.runs if run.confusion is not None]
    if not kept:
        return None
    names = kept[0].classes
    counts = np.sum([stored.counts for stored in kept if stored.classes == names], axis=0)
    shares = row_shares(counts.tolist())
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    largest = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_MISTAKES]
    places = [(int(flat) // len(names), int(flat) % len(names)) for flat in largest]
    mistakes = [
        Mistake(
            names[row],
            names[column],
            float(shares[row, column]),
            float(counts[row, column] / counts.sum()),
        )
        for row, column in places
        if wrong[row, column]
    ]
    several = f", {len(kept)} seeds together" if len(kept) > 1 else ""
    shown = shares.tolist() if len(names) <= _MOST_CLASSES else None
    return Matrix(f"{group.label}{several}", names, shown, mistakes)
