"""The worth of a search: the best trial against the median, and ranges that were too short."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from segdistill.config import Range, Space
from segdistill.runs.trials import Trial
from segdistill.studies.trials import best_trial

End = Literal["low", "high"]

_NEAR = 0.05  # share of a range near its ends, where the optimum may lie beyond it


@dataclass(frozen=True)
class Regret:
    """What a method gained by its search.

    Attributes:
        gain: held-out mIoU of the best trial minus that of the median trial, a fraction.
        ends: settings whose best value lies at an end of the range, and at which one.
    """

    gain: float
    ends: Mapping[str, End]


def regret(trials: Sequence[Trial], space: Space) -> Regret | None:
    """Return the worth of the search of one method, None if no trial was trained to the end.

    Args:
        trials: the trials of the method.
        space: its search space.
    """
    best = best_trial(trials)
    if best is None or best.miou is None:
        return None
    scores = [t.miou for t in trials if t.status == "done" and t.miou is not None]
    ends = {
        path: end
        for path, values in space.items()
        if path in best.params and (end := _end(values, best.params[path])) is not None
    }
    return Regret(best.miou - median(scores), ends)


def _end(values: Range | Sequence[Any], value: Any) -> End | None:
    """Return the end of a range, or of at least three numbers, near which a value lies."""
    if isinstance(values, Range):
        low, high, own = values.low, values.high, float(value)
        if values.log:
            low, high, own = math.log(low), math.log(high), math.log(own)
        share = (own - low) / (high - low)
        return "low" if share <= _NEAR else "high" if share >= 1 - _NEAR else None
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < 3 or len(numbers) < len(values):
        return None
    return "low" if value == min(numbers) else "high" if value == max(numbers) else None
