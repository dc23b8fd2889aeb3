"""A method against a baseline: every statistic of the pair in one record.

With equal seeds, two methods see the same data in the same order, so the differences by seed are
analysed rather than the means.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from segdistill.studies.joint import joint_test
from segdistill.studies.statistics import (
    Interval,
    holm,
    paired_interval,
    probability_of_improvement,
    sign_flip_p,
)

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """A method against a baseline, paired by seed.

    Attributes:
        seeds: number of pairs.
        mean: mean of the method's scores.
        deviation: standard deviation of the method's scores, nan for one seed.
        difference: method minus baseline, with an interval for this method alone; see
            ``statistics.paired_interval``.
        simultaneous: the same difference with an interval that is simultaneous for all methods;
            see ``joint.joint_test``.
        p: p value of the sign-flip test for this method alone; see ``statistics.sign_flip_p``.
        p_joint: family-wise p value of the joint test of all methods; see ``joint.joint_test``.
        smallest_p: the smallest possible ``p_joint`` with so many seeds.
        p_holm: ``p`` corrected by ``statistics.holm``, on which older releases based claims.
        improvement: see ``statistics.probability_of_improvement``.
        searches: number of searches, if there were several: tests and intervals then use them as
            the sample, each with the mean of its seeds.
    """

    seeds: int
    mean: float
    deviation: float
    difference: Interval
    simultaneous: Interval
    p: float
    p_joint: float
    smallest_p: float
    p_holm: float
    improvement: float
    searches: int | None = None

    def claims(self) -> bool:
        """Return whether a difference may be claimed: the simultaneous interval excludes 0.

        This is equivalent to ``p_joint`` being at most 1 minus the confidence of the interval.
        """
        return self.simultaneous.excludes_zero()

    def equals(self, margin: float) -> bool:
        """Return whether the two may be called equal within a margin.

        The simultaneous interval has to lie inside the margin, and there have to be enough seeds
        that a difference could have been claimed.

        Args:
            margin: largest difference that does not matter, a fraction; 0 calls nothing equal.
        """
        interval = self.simultaneous
        able = self.smallest_p <= 1 - interval.confidence
        return able and -margin < interval.low and interval.high < margin


def compare(method: Sequence[float], baseline: Sequence[float]) -> Comparison:
    """Compare a method with a baseline, seed by seed.

    Args:
        method: scores of the method.
        baseline: scores of the baseline under the same seeds, in the same order.

    Raises:
        ValueError: the two differ in length, are empty or not finite.
    """
    return compare_all({"method": method}, baseline)["method"]


def compare_all(
    methods: Mapping[str, Sequence[float]], baseline: Sequence[float]
) -> dict[str, Comparison]:
    """Compare several methods, or several classes, with one baseline, tested jointly.

    Args:
        methods: scores by name.
        baseline: scores of the baseline under the same seeds, in the same order.

    Raises:
        ValueError: as for :func:`compare`.
    """
    seeds = range(len(baseline))
    for scores in methods.values():
        _check_pairs(scores, baseline)
    return compare_by_seed(
        {name: dict(zip(seeds, scores, strict=True)) for name, scores in methods.items()},
        dict(zip(seeds, baseline, strict=True)),
    )


def compare_by_seed(
    methods: Mapping[str, Mapping[S, float]],
    baseline: Mapping[S, float],
    searches: Mapping[S, int] | None = None,
) -> dict[str, Comparison]:
    """Compare several methods with one baseline, each over the seeds that both have.

    A failed run thereby removes its seed from its own method only.

    Args:
        methods: scores by name and seed; methods without a seed of the baseline are left out.
        baseline: scores of the baseline by seed.
        searches: the search whose values each seed uses, None if there was only one. Seeds of one
            search are not independent, so that the searches are then the sample.

    Returns:
        Comparisons, tested jointly over the methods that could be compared.

    Raises:
        ValueError: a score is not finite.
    """
    differences: dict[str, dict[S, float]] = {}
    for name, scores in methods.items():
        shared = [seed for seed in baseline if seed in scores]
        if shared:
            differences[name] = {seed: scores[seed] - baseline[seed] for seed in shared}
    samples: dict[str, Mapping[Any, float]] = {
        name: by_search(own, searches) for name, own in differences.items()
    }
    single = {name: sign_flip_p(list(own.values())) for name, own in samples.items()}
    corrected = dict(zip(single, holm(list(single.values())), strict=True))
    joint = joint_test(samples)
    comparisons = {}
    for name, own in differences.items():
        finished = [methods[name][seed] for seed in own]
        seeds = len(own)
        comparisons[name] = Comparison(
            seeds=seeds,
            mean=math.fsum(finished) / seeds,
            deviation=float(np.std(finished, ddof=1)) if seeds > 1 else math.nan,
            difference=paired_interval(list(samples[name].values())),
            simultaneous=joint[name].interval,
            p=single[name],
            p_joint=joint[name].p,
            smallest_p=joint[name].smallest_p,
            p_holm=corrected[name],
            improvement=probability_of_improvement(finished, [baseline[seed] for seed in own]),
            searches=None if searches is None else len(samples[name]),
        )
    return comparisons


def by_search(
    differences: Mapping[S, float], searches: Mapping[S, int] | None
) -> Mapping[S, float] | Mapping[int, float]:
    """Return the mean difference of each search, or the differences if there was only one."""
    if searches is None:
        return differences
    gathered: dict[int, list[float]] = {}
    for seed, value in differences.items():
        gathered.setdefault(searches[seed], []).append(value)
    return {search: math.fsum(own) / len(own) for search, own in sorted(gathered.items())}


def _check_pairs(method: Sequence[float], baseline: Sequence[float]) -> None:
    if len(method) != len(baseline):
        raise ValueError(
            f"compare: expected one baseline score per seed, got {len(method)} scores and "
            f"{len(baseline)} of the baseline; keep the seeds that both have"
        )
    if not method:
        raise ValueError("compare: expected at least one number, got none; run the study first")
