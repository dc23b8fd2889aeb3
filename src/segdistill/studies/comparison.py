"""A method against a baseline: every statistic of the pair in one record.

Seed by seed, two methods saw the same data in the same order, so their differences are
compared, not their means.
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
        seeds: how many pairs.
        mean: of the method's scores.
        deviation: standard deviation of the method's scores, nan for one seed.
        difference: method minus baseline, with the interval of this method by itself; see
            ``statistics.paired_interval``.
        simultaneous: the same difference with an interval that holds for all methods together;
            see ``joint.joint_test``.
        p: of the sign-flip test of this method by itself; see ``statistics.sign_flip_p``.
        p_joint: family-wise, of the joint test of all methods; see ``joint.joint_test``.
        smallest_p: the least that ``p_joint`` could have been with so many seeds.
        p_holm: ``p`` corrected by ``statistics.holm``, which older releases claimed by.
        improvement: see ``statistics.probability_of_improvement``.
        searches: of how many searches the seeds took their values, where there were several: then
            these are the sample, each with the mean of its seeds, in tests and intervals.
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

        That is where ``p_joint`` is at most 1 minus the confidence of the interval.
        """
        return self.simultaneous.excludes_zero()

    def equals(self, margin: float) -> bool:
        """Return whether the two may be called equal within a margin.

        The simultaneous interval has to lie inside, and there have to be seeds enough to have
        claimed a difference.

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
        ValueError: as :func:`compare`.
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

    So a run that failed takes its seed from its own method alone.

    Args:
        methods: scores by name and seed; one that shares no seed with the baseline is left out.
        baseline: scores of the baseline by seed.
        searches: which search each seed took its values from, None where there was one for all.
            Seeds of one search share its luck, so that the searches are then the sample.

    Returns:
        Comparisons tested jointly over the methods that could be compared.

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
    """Return the mean difference of each search, or the differences where there was one search."""
    if searches is None:
        return differences
    gathered: dict[int, list[float]] = {}
    for seed, value in differences.items():
        gathered.setdefault(searches[seed], []).append(value)
    return {search: math.fsum(own) / len(own) for search, own in sorted(gathered.items())}


def _check_pairs(method: Sequence[float], baseline: Sequence[float]) -> None:
    if len(method) != len(baseline):
        raise ValueError(
            f"compare: expected one baseline score a seed, got {len(method)} scores and "
            f"{len(baseline)} of the baseline; keep the seeds that both have"
        )
    if not method:
        raise ValueError("compare: expected at least one number, got none; run the study first")
