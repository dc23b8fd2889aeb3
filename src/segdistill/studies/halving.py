"""Successive halving: a trial that falls behind earlier ones of its method ends early."""

from __future__ import annotations

from collections.abc import Sequence

from segdistill.config import PruningConfig
from segdistill.errors import ConfigError


def rungs(steps: int, pruning: PruningConfig) -> list[int]:
    """Return the steps at which a trial may be ended.

    .. math:: s / \\eta^{k}, \\; s / \\eta^{k - 1}, \\; \\dots, \\; s / \\eta

    Args:
        steps: :math:`s`, of a whole trial.
        pruning: number of rungs :math:`k` and factor :math:`\\eta`.

    Raises:
        ConfigError: the steps do not divide so often.
    """
    smallest, rest = divmod(steps, pruning.factor**pruning.rungs)
    if rest or not smallest:
        raise ConfigError(
            f"search.pruning: expected steps of a trial that {pruning.factor} divides "
            f"{pruning.rungs} times, got {steps}; change search.steps"
        )
    return [smallest * pruning.factor**k for k in range(pruning.rungs)]


def falls_behind(score: float, others: Sequence[float], factor: int) -> bool:
    """Return whether a score is outside the best share of what was seen at its rung.

    Args:
        score: of the trial at the rung.
        others: of earlier trials of the same method at the same rung.
        factor: one in ``factor`` goes on, counting this trial, and at least one.

    Source:
        Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA,
        Algorithm 2); Jamieson and Talwalkar, AISTATS 2016.
    """
    places = max(1, (len(others) + 1) // factor)
    return sum(other > score for other in others) >= places
