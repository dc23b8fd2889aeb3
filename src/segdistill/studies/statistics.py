"""Statistics over seeds: paired intervals, exact tests, corrections, ranks.

Scores are fractions (such as an mIoU of 0.4), one per seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from segdistill.config import MOST_SEEDS


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        low: lower end.
        estimate: the value.
        high: upper end.
        confidence: share of such intervals that contain the true value.
    """

    low: float
    estimate: float
    high: float
    confidence: float = 0.95

    def excludes_zero(self) -> bool:
        """Return whether the interval does not contain 0."""
        return self.low > 0 or self.high < 0


def paired_interval(differences: Sequence[float], *, confidence: float = 0.95) -> Interval:
    r"""Return the t interval of a mean difference.

    .. math:: \bar{d} \pm t_{n - 1} \, s / \sqrt{n}

    A bootstrap of a handful of seeds is too short (83 % instead of 95 % for 5 seeds).

    Args:
        differences: method minus baseline, one per seed.
        confidence: share of such intervals that contain the true value, in (0, 1).

    Returns:
        The interval; infinite for one seed.

    Raises:
        ValueError: there are no differences, or a value is out of range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"paired_interval: expected confidence in (0, 1), got {confidence}")
    values = _finite("paired_interval", differences)
    mean, seeds = float(values.mean()), len(values)
    if seeds == 1:
        return Interval(-math.inf, mean, math.inf, confidence)
    error = float(values.std(ddof=1)) / math.sqrt(seeds)
    half = float(stats.t.ppf((1 + confidence) / 2, seeds - 1)) * error
    return Interval(mean - half, mean, mean + half, confidence)


def sign_flip_p(differences: Sequence[float]) -> float:
    r"""Return the exact two-sided p value for differences symmetric about 0.

    If the two methods were equal, each difference could as well have the opposite sign:

    .. math:: p = 2^{-n} \, \bigl|\{\varepsilon \in \{-1, 1\}^n :
        |\textstyle\sum_i \varepsilon_i d_i| \ge |\sum_i d_i|\}\bigr|

    Args:
        differences: method minus baseline, one per seed, at most 40.

    Returns:
        A value from :func:`smallest_p` to 1.

    Raises:
        ValueError: there are none or more than 40, or one is not finite.

    Source:
        Fisher, "The Design of Experiments", 1935, section 21.
    """
    values = _finite("sign_flip_p", differences)
    if len(values) > MOST_SEEDS:
        raise ValueError(
            f"sign_flip_p: expected at most {MOST_SEEDS} seeds, got {len(values)}; "
            "with so many, use the interval"
        )
    # Each pattern combines one of the first half with one of the second. With the sums of the
    # second half sorted, a binary search counts those that reach the observed sum.
    first, second = (_signed_sums(half) for half in np.array_split(values, 2))
    second.sort()
    # The observed sum may differ by rounding from that of its pattern, summed in another order.
    observed = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    if observed <= 0:
        return 1.0
    above = len(second) - np.searchsorted(second, observed - first, side="left")
    below = np.searchsorted(second, -observed - first, side="right")
    return float((above + below).sum() / 2 ** len(values))


def _signed_sums(values: np.ndarray) -> np.ndarray:
    """Return the sum of the values for every pattern of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def smallest_p(seeds: int) -> float:
    """Return the smallest p that :func:`sign_flip_p` can give: two patterns out of 2^n.

    Raises:
        ValueError: there is no seed.
    """
    if seeds < 1:
        raise ValueError(f"smallest_p: expected seeds >= 1, got {seeds}; run the study first")
    return 2.0 ** (1 - seeds)


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Correct the p values of several comparisons for the family-wise error (Holm).

    .. math:: \tilde{p}_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})

    Args:
        p_values: one per comparison, in any order.

    Returns:
        The corrected values, in the same order.

    Source:
        Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def ranks(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return each method's mean rank over seeds, 1 being the best; ties share the mean rank.

    Args:
        scores: scores by method, one per seed, in the same order.

    Raises:
        ValueError: there are none, or their lengths differ.
    """
    if not scores or len({len(values) for values in scores.values()}) != 1:
        lengths = {name: len(values) for name, values in scores.items()}
        raise ValueError(f"ranks: expected equally many scores for every method, got {lengths}")
    table = np.array([_finite("ranks", values) for values in scores.values()])
    means = stats.rankdata(-table, axis=0).mean(axis=1)
    return dict(zip(scores, map(float, means), strict=True))


def probability_of_improvement(method: Sequence[float], baseline: Sequence[float]) -> float:
    r"""Return the probability that a run of the method scores above a run of the baseline.

    .. math:: \frac{1}{n m} \sum_{i, j} [x_i > y_j] + \tfrac{1}{2} [x_i = y_j]

    Args:
        method: scores of the method.
        baseline: scores of the baseline; the two need not be paired.

    Returns:
        A value in [0, 1], 0.5 for equal methods.

    Raises:
        ValueError: one is empty or not finite.

    Source:
        Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
        Precipice", NeurIPS 2021, arXiv:2108.13264, section 4.2.
    """
    x = _finite("probability_of_improvement", method)[:, None]
    y = _finite("probability_of_improvement", baseline)[None, :]
    return float(((x > y) + 0.5 * (x == y)).mean())


def power(gain: float, deviation: float, seeds: int, *, level: float = 0.05) -> float:
    r"""Return the probability that the interval of a study with so many seeds excludes 0.

    The t statistic of normal differences is a non-central t with
    :math:`\sqrt{n} \, \text{gain} / \text{deviation}`.

    Args:
        gain: true mean difference.
        deviation: standard deviation of the difference over seeds, above 0.
        seeds: number of seeds.
        level: 1 minus the confidence of the interval.

    Returns:
        A value from about ``level`` (no gain) to 1; 0 for one seed.

    Raises:
        ValueError: the deviation is not above 0, or there is no seed.
    """
    if seeds < 1 or not deviation > 0:
        raise ValueError(
            f"power: expected seeds >= 1 and deviation > 0, got {seeds} and {deviation}"
        )
    if seeds == 1:
        return 0.0
    critical = float(stats.t.ppf(1 - level / 2, seeds - 1))
    shift = math.sqrt(seeds) * gain / deviation
    above = stats.nct.sf(critical, seeds - 1, shift)
    below = stats.nct.cdf(-critical, seeds - 1, shift)
    return float(above + below)


def _finite(caller: str, values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"{caller}: expected at least one number, all finite, got {list(values)}; "
            "leave out failed seeds, in every method"
        )
    return array
