"""A method against a baseline: every statistic of the pair in one record.

Seed by seed, two methods saw the same data in the same order, so their differences are
compared, not their means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from segdistill.studies.statistics import (
    Interval,
    holm,
    paired_interval,
    probability_of_improvement,
    sign_flip_p,
    smallest_p,
)

S = TypeVar("S")


@dataclass(frozen=True)
class Comparison:
    """A method against a baseline, paired by seed.

    Attributes:
        seeds: how many pairs.
        mean: of the method's scores.
        deviation: standard deviation of the method's scores, nan for one seed.
        difference: method minus baseline, with its interval; see ``statistics.paired_interval``.
        p: of the sign-flip test; see ``statistics.sign_flip_p``.
        p_holm: ``p`` corrected for the number of methods compared; see ``statistics.holm``.
        smallest_p: the least that ``p_holm`` could have been with so many seeds and methods.
        improvement: see ``statistics.probability_of_improvement``.
    """

    seeds: int
    mean: float
    deviation: float
    difference: Interval
    p: float
    p_holm: float
    smallest_p: float
    improvement: float

    def claims(self, *, level: float = 0.05) -> bool:
        """Return whether a difference may be claimed.

        The interval has to exclude 0 and the corrected p to reach the level, both: a t
        interval trusts that differences are normal, the sign-flip test does not.

        Args:
            level: share of wrong claims that is accepted where nothing differs.
        """
        return self.difference.excludes_zero() and self.p_holm <= level


def compare(method: Sequence[float], baseline: Sequence[float]) -> Comparison:
    """Compare a method with a baseline, seed by seed.

    Args:
        method: scores of the method.
        baseline: scores of the baseline under the same seeds, in the same order.

    Raises:
        ValueError: the two differ in length, are empty or not finite.
    """
    differences = _differences(method, baseline)
    p = sign_flip_p(differences)
    seeds = len(differences)
    return Comparison(
        seeds=seeds,
        mean=math.fsum(method) / seeds,
        deviation=float(np.std(method, ddof=1)) if seeds > 1 else math.nan,
        difference=paired_interval(differences),
        p=p,
        p_holm=p,
        smallest_p=smallest_p(seeds),
        improvement=probability_of_improvement(method, baseline),
    )


def compare_all(
    methods: Mapping[str, Sequence[float]], baseline: Sequence[float]
) -> dict[str, Comparison]:
    """Compare several methods, or several classes, with one baseline, corrected by Holm.

    Args:
        methods: scores by name.
        baseline: scores of the baseline under the same seeds, in the same order.

    Raises:
        ValueError: as :func:`compare`.
    """
    seeds = range(len(baseline))
    for scores in methods.values():
        _differences(scores, baseline)
    return compare_by_seed(
        {name: dict(zip(seeds, scores, strict=True)) for name, scores in methods.items()},
        dict(zip(seeds, baseline, strict=True)),
    )


def compare_by_seed(
    methods: Mapping[str, Mapping[S, float]], baseline: Mapping[S, float]
) -> dict[str, Comparison]:
    """Compare several methods with one baseline, each over the seeds that both have.

    So a run that failed takes its seed from its own method alone.

    Args:
        methods: scores by name and seed; one that shares no seed with the baseline is left out.
        baseline: scores of the baseline by seed.

    Returns:
        Comparisons whose p is corrected by Holm over the methods that could be compared.

    Raises:
        ValueError: a score is not finite.
    """
    found = {}
    for name, scores in methods.items():
        shared = [seed for seed in baseline if seed in scores]
        if shared:
            own = [scores[seed] for seed in shared]
            found[name] = compare(own, [baseline[seed] for seed in shared])
    corrected = holm([comparison.p for comparison in found.values()])
    # Holm never lowers one p where another rises: the least of each is where all are least.
    least = holm([comparison.smallest_p for comparison in found.values()])
    return {
        name: replace(found[name], p_holm=p, smallest_p=smallest)
        for name, p, smallest in zip(found, corrected, least, strict=True)
    }


def _differences(method: Sequence[float], baseline: Sequence[float]) -> list[float]:
    if len(method) != len(baseline):
        raise ValueError(
            f"compare: expected one baseline score a seed, got {len(method)} scores and "
            f"{len(baseline)} of the baseline; keep the seeds that both have"
        )
    return [x - y for x, y in zip(method, baseline, strict=True)]
