"""Which of several models to ship: the cheapest of those that cannot be told from the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from segdistill.studies.bootstrap import bootstrap_difference, bootstrap_miou
from segdistill.studies.statistics import Interval


@dataclass(frozen=True)
class Verdict:
    """Which model to ship, and why.

    Attributes:
        chosen: its name.
        best: the model with the highest mIoU.
        miou: of each, with an interval over images.
        behind: how much mIoU each other model loses against the best, with an interval; all of
            these hold together.
    """

    chosen: str
    best: str
    miou: Mapping[str, Interval]
    behind: Mapping[str, Interval]

    @property
    def equals(self) -> tuple[str, ...]:
        """Models whose mIoU cannot be told apart from the best one's."""
        return tuple(name for name, loss in self.behind.items() if not loss.excludes_zero())


def told_apart(verdict: Verdict, names: Collection[str]) -> list[str]:
    """Return a sentence for each of some models: whether it can be told from the best.

    Args:
        verdict: the choice.
        names: the models, other than the best.
    """
    return [
        f"{verdict.best} and {name} cannot be told apart by mIoU: {_points(verdict.behind[name])}"
        if name in verdict.equals
        else f"{verdict.best} is better than {name}: {_points(verdict.behind[name])}"
        for name in names
    ]


def why_chosen(verdict: Verdict) -> list[str]:
    """Return the sentence that follows from what cannot be told apart, if anything cannot."""
    if verdict.chosen != verdict.best:
        return [f"so the cheaper wins: {verdict.chosen}"]
    return [f"none of them is clearly cheaper than {verdict.best}"] if verdict.equals else []


def _points(loss: Interval) -> str:
    return (
        f"{100 * loss.estimate:+.2f} points of mIoU ({100 * loss.low:+.2f} to "
        f"{100 * loss.high:+.2f})"
    )


def decide(
    counts: Mapping[str, np.ndarray], cost: Mapping[str, Interval], *, confidence: float = 0.95
) -> Verdict:
    """Choose the cheapest of the models whose mIoU cannot be told apart from the highest.

    Two costs whose ranges overlap are no different either, and then the higher mIoU is taken.
    With :math:`k` models each of the :math:`k - 1` differences to the best has the confidence
    :math:`1 - (1 - c) / (k - 1)`, so that all hold together with :math:`c` (Bonferroni).

    Args:
        counts: confusion matrix of each image by model, rows are the truth; of the same images
            in the same order.
        cost: of each model, with the range in which it was measured.
        confidence: :math:`c`, in (0, 1).

    Shape:
        counts ``(N, K, K)``, integers.

    Raises:
        ValueError: no model, another shape, or other labels; see
            :func:`segdistill.studies.bootstrap.bootstrap_difference`.
    """
    if not counts or counts.keys() != cost.keys():
        raise ValueError(
            f"decide: expected models with counts and a cost each, got {list(counts)} and "
            f"{list(cost)}"
        )
    miou = {
        name: bootstrap_miou(matrices, confidence=confidence) for name, matrices in counts.items()
    }
    best = max(miou, key=lambda name: (miou[name].estimate, -cost[name].estimate))
    each = 1 - (1 - confidence) / max(1, len(counts) - 1)
    behind = {
        name: bootstrap_difference(counts[best], matrices, confidence=each)
        for name, matrices in counts.items()
        if name != best
    }
    equal = [best, *(name for name, loss in behind.items() if not loss.excludes_zero())]
    cheapest = min(equal, key=lambda name: cost[name].estimate)
    as_cheap = [name for name in equal if cost[name].low <= cost[cheapest].high]
    chosen = max(as_cheap, key=lambda name: (miou[name].estimate, -cost[name].estimate))
    return Verdict(chosen, best, miou, behind)
