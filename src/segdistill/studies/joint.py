"""One test for all methods of a study: sign flips of whole seeds, step-down max-T.

The methods of a seed share its plain run, so a flip changes the sign of all their differences.
The test thereby accounts for their correlation, unlike a correction of separate p values.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special, stats

from segdistill.seeding import derive
from segdistill.studies.statistics import Interval

S = TypeVar("S", bound=Hashable)

EXACT_SEEDS = 16
"""The largest number of seeds for which all flips are counted; beyond it they are sampled."""

_PATTERNS = 2 ** (EXACT_SEEDS - 1)
_ROUNDING = 1e-12  # tolerance of a statistic in [0, 1] for sums in another order


@dataclass(frozen=True)
class Joint:
    """The result of the joint test for one method.

    Attributes:
        p: family-wise p value: the chance of so large a difference in any method if none differs.
        smallest_p: the smallest possible ``p`` with the method's seeds.
        interval: simultaneous interval; it excludes 0 if and only if ``p`` is at most 1 minus its
            confidence.
        exact: whether all flips were counted; otherwise they were sampled.
    """

    p: float
    smallest_p: float
    interval: Interval
    exact: bool


def joint_test(
    differences: Mapping[str, Mapping[S, float]], *, confidence: float = 0.95, seed: int = 0
) -> dict[str, Joint]:
    r"""Test all methods together, and give each an interval that agrees with its p value.

    A method :math:`j` has differences :math:`d_{js}` over its :math:`n_j` seeds and the statistic

    .. math:: t_j = \sqrt{n_j} \, \bar{d}_j / s_j, \qquad u_j = 2 \, \Pr(T_{n_j - 1} \ge |t_j|),

    where :math:`u` makes methods with different numbers of seeds comparable; among methods with
    equally many seeds it gives the same order as :math:`|t|`. If no method differs, each seed
    could as well have the opposite sign, in all methods at once. With the methods ordered by
    :math:`u`,

    .. math:: p_{(i)} = \max_{k \le i} 2^{-n} \, \bigl|\{\varepsilon \in \{-1, 1\}^n :
        \min_{l \ge k} u_{(l)}(\varepsilon) \le u_{(k)}\}\bigr|.

    The chance of any wrong claim is at most the level, whichever methods truly differ. The
    smallest p is :math:`2 / 2^n`, regardless of the number of methods.

    Intervals are :math:`\bar{d}_j \pm c_j s_j / \sqrt{n_j}`, where :math:`c` is the quantile of
    the largest statistic under flips of the residuals :math:`d_{js} - \bar{d}_j`, bounded by the
    quantile of a single t interval and by Šidák's for all methods; below six seeds, where flips
    cannot resolve 95 %, it is Šidák's. (Flips of the differences themselves would make intervals
    too short if every method gains.) Two rules make interval and p agree: the interval of a
    claimed method ends at 0, exclusively, if it would cross 0, and that of a method that is not
    claimed is extended to 0. The interval of a method that does not differ therefore misses 0
    only if the test errs.

    Args:
        differences: method minus baseline, by method and seed; seeds may be missing.
        confidence: simultaneous confidence of all intervals, in (0, 1).
        seed: seed of the flips if there are too many seeds to count all.

    Returns:
        The result by method; a method with one seed has p = 1 and an infinite interval.

    Raises:
        ValueError: a method has no difference, one is not finite, or the confidence is out of
            range.

    Source:
        Westfall and Young, "Resampling-Based Multiple Testing", 1993, section 2.6 (step-down
        max-T); the ends at 0 as in Strassburger and Bretz, "Compatible simultaneous lower
        confidence bounds", Statistics in Medicine 2008.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"joint_test: expected confidence in (0, 1), got {confidence}")
    if not differences:
        return {}
    seeds = list(dict.fromkeys(seed for own in differences.values() for seed in own))
    columns = {seed: column for column, seed in enumerate(seeds)}
    table = np.zeros((len(differences), len(seeds)))  # missing seeds add nothing
    present = np.zeros(table.shape, dtype=bool)
    for row, (name, own) in enumerate(differences.items()):
        if not own or not np.isfinite(list(own.values())).all():
            raise ValueError(
                f"joint_test: expected finite differences of {name}, got {list(own.values())}; "
                "leave out failed seeds"
            )
        table[row, [columns[seed] for seed in own]] = list(own.values())
        present[row, [columns[seed] for seed in own]] = True
    flips, exact = _flips(len(seeds), seed)
    p = _step_down(table, present.sum(axis=1), flips)
    critical = _critical_tail(table, present, flips, 1 - confidence)
    tests = {}
    for row, (name, own) in enumerate(differences.items()):
        claimed = bool(p[row] <= 1 - confidence + _ROUNDING)
        least = max(2.0 ** (1 - len(own)), 0.0 if exact else 1 / len(flips))
        interval = _interval(list(own.values()), critical, confidence, claimed=claimed)
        tests[name] = Joint(float(p[row]), least, interval, exact)
    return tests


def _flips(seeds: int, seed: int) -> tuple[np.ndarray, bool]:
    """Return patterns of signs, the observed first; mirror images are represented once."""
    if seeds <= EXACT_SEEDS:
        numbers = np.arange(2 ** (seeds - 1))
        bits = (numbers[:, None] >> np.arange(seeds)) & 1
        return 1.0 - 2.0 * bits, True
    random = np.random.default_rng(derive(seed, "sign flips"))
    signs = random.choice([-1.0, 1.0], size=(_PATTERNS, seeds))
    signs[0] = 1.0
    return signs, False


def _ratios(differences: np.ndarray, count: int, flips: np.ndarray) -> np.ndarray:
    """Return |t| by pattern on a scale from 0 to 1: |sum| / sqrt(n sum of squares)."""
    # Scaled first, because squares of tiny differences would underflow to 0.
    scaled = differences / (np.abs(differences).max() or 1.0)
    squares = count * (scaled**2).sum()
    if squares == 0:
        return np.zeros(len(flips))
    ratios: np.ndarray = np.minimum(np.abs(flips @ scaled) / math.sqrt(squares), 1.0)
    return ratios


def _tails(ratios: np.ndarray, count: int) -> np.ndarray:
    """Return the two-sided tail of the t distribution with ``count - 1`` degrees of freedom.

    With r = |t| / sqrt(t² + n - 1) from :func:`_ratios`, this is a regularised incomplete beta
    function of 1 - r².
    """
    if count == 1:
        return np.ones_like(ratios)
    # As a difference of squares, which is exact near 1.
    beyond = (1 - ratios) * (1 + ratios)
    tails: np.ndarray = special.betainc((count - 1) / 2, 0.5, np.clip(beyond, 0.0, 1.0))
    return tails


def _step_down(table: np.ndarray, counts: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Return the family-wise p value of every row."""
    ratios = [_ratios(row, n, flips[:1])[0] for row, n in zip(table, counts, strict=True)]
    observed = [
        float(_tails(np.maximum(ratio - _ROUNDING, 0.0), n))
        for ratio, n in zip(ratios, counts, strict=True)
    ]
    order = np.argsort(observed, kind="stable")
    smallest = np.ones(len(flips))  # tail of the most extreme of the remaining methods
    raw = np.ones(len(table))
    for row in order[::-1]:
        own = _tails(_ratios(table[row], counts[row], flips), counts[row])
        np.minimum(smallest, own, out=smallest)
        raw[row] = np.count_nonzero(smallest <= observed[row]) / len(flips)
    p = np.empty(len(table))
    p[order] = np.maximum.accumulate(raw[order])
    return p


def _critical_tail(
    table: np.ndarray, present: np.ndarray, flips: np.ndarray, level: float
) -> float:
    """Return the tail that residuals of any row reach in a share ``level`` of the flips."""
    counts = present.sum(axis=1)
    several = counts > 1
    sidak = -math.expm1(math.log1p(-level) / max(1, int(several.sum())))
    if 2.0 ** (1 - int(counts.max())) > level:
        return sidak
    smallest = np.ones(len(flips))
    for row, own, count in zip(table[several], present[several], counts[several], strict=True):
        residuals = np.where(own, row - row.sum() / count, 0.0)
        np.minimum(smallest, _tails(_ratios(residuals, count, flips), count), out=smallest)
    smallest.sort()
    return min(level, max(sidak, float(smallest[int(level * len(flips))])))


def _interval(
    differences: list[float], tail: float, confidence: float, *, claimed: bool
) -> Interval:
    seeds, mean = len(differences), float(np.mean(differences))
    if seeds == 1:
        return Interval(-math.inf, mean, math.inf, confidence)
    error = float(np.std(differences, ddof=1)) / math.sqrt(seeds)
    half = float(stats.t.isf(tail / 2, seeds - 1)) * error if error else 0.0
    low, high = mean - half, mean + half
    if claimed and mean > 0:
        low = max(low, math.ulp(0.0))
    elif claimed:
        high = min(high, -math.ulp(0.0))
    else:
        low, high = min(low, 0.0), max(high, 0.0)
    return Interval(low, mean, high, confidence)
