"""Successive halving: a trial that falls behind earlier ones of its method stops early."""

from __future__ import annotations

from collections.abc import Sequence

from segdistill.config import PruningConfig
from segdistill.errors import ConfigError


def rungs(steps: int, pruning: PruningConfig) -> list[int]:
    """Return the steps at which a trial may be stopped.

    .. math:: s / \\eta^{k}, \\; s / \\eta^{k - 1}, \\; \\dots, \\; s / \\eta

    Args:
        steps: :math:`s`, the steps of a whole trial.
        pruning: number of rungs :math:`k` and factor :math:`\\eta`.

    Raises:
        ConfigError: the factor does not divide the steps so often.
    """
    smallest, rest = divmod(steps, pruning.factor**pruning.rungs)
    if rest or not smallest:
        raise ConfigError(
            f"search.pruning: expected steps of a trial divisible {pruning.rungs} times by "
            f"{pruning.factor}, got {steps}; change search.steps"
        )
    return [smallest * pruning.factor**k for k in range(pruning.rungs)]


def falls_behind(score: float, others: Sequence[float], factor: int) -> bool:
    """Return whether a score is outside the best share of the scores at its rung.

    Args:
        score: score of the trial at the rung.
        others: scores of earlier trials of the same method at the same rung.
        factor: one trial in ``factor`` continues, counting this one, and at least one.

    Source:
        Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA,
        Algorithm 2); Jamieson and Talwalkar, AISTATS 2016.
    """
    places = max(1, (len(others) + 1) // factor)
    return sum(other > score for other in others) >= places
