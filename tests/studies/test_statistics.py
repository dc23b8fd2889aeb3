"""Statistics over seeds: scipy's and hand-made values, and what may never be claimed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segdistill.config import MOST_SEEDS
from segdistill.studies.statistics import (
    holm,
    paired_interval,
    power,
    probability_of_improvement,
    ranks,
    sign_flip_p,
    smallest_p,
)

PLAIN = [0.321, 0.370, 0.352, 0.341, 0.360, 0.335]
KL = [0.383, 0.399, 0.371, 0.362, 0.377, 0.369]


def test_the_interval_is_scipys_paired_t_interval() -> None:
    differences = np.subtract(KL, PLAIN)
    expected = stats.ttest_rel(KL, PLAIN).confidence_interval(0.95)
    found = paired_interval(list(differences))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.estimate == pytest.approx(differences.mean())
    assert paired_interval(list(differences), confidence=0.5).low > found.low


def test_an_interval_worked_out_by_hand() -> None:
    # Mean 2, s = 1, t(2) at 97.5 % is 4.302653, so the half width is 4.302653 / sqrt(3).
    found = paired_interval([1.0, 2.0, 3.0])
    assert found.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize("differences", [[0.1, -0.2, 0.3], [1.0, 2.0, 3.0, -0.5, 0.0], [-0.1]])
def test_p_equals_a_loop_over_all_signs(differences: list[float]) -> None:
    patterns = list(itertools.product([-1, 1], repeat=len(differences)))
    observed = abs(sum(differences))
    reached = sum(
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed - 1e-12
        for signs in patterns
    )
    assert sign_flip_p(differences) == reached / len(patterns)


def test_p_equals_scipys_permutation_test() -> None:
    differences = np.array([0.031, -0.004, 0.027, 0.012, -0.009, 0.02])
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(list(differences)) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("seeds", "least"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (8, 0.0078125)])
def test_seeds_that_all_agree_give_the_smallest_p(seeds: int, least: float) -> None:
    differences = [0.01 + 0.001 * seed for seed in range(seeds)]
    assert sign_flip_p(differences) == smallest_p(seeds) == least


def test_rounding_does_not_change_p() -> None:
    # In hundredths the sums are exact; as floats some equal ones differ in the last bit.
    hundredths = [15, 16, -9, 30, -30]
    assert sign_flip_p([x / 100 for x in hundredths]) == sign_flip_p(hundredths) == 0.6875


def test_holm_corrects_in_order_and_never_reverses_it() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_lies_between_no_correction_and_bonferronis(values: list[float]) -> None:
    for raw, corrected in zip(values, holm(values), strict=True):
        assert raw <= corrected <= min(1.0, raw * len(values)) + 1e-12


def test_ranks_are_means_over_seeds_with_shared_ties() -> None:
    found = ranks({"a": [0.5, 0.5], "b": [0.4, 0.5], "c": [0.3, 0.6]})
    assert found == {"a": (1 + 2.5) / 2, "b": (2 + 2.5) / 2, "c": (3 + 1) / 2}


def test_probability_of_improvement_is_mann_whitneys_share() -> None:
    expected = stats.mannwhitneyu(KL, PLAIN).statistic / (len(KL) * len(PLAIN))
    assert probability_of_improvement(KL, PLAIN) == pytest.approx(expected)
    assert probability_of_improvement([0.1], [0.1]) == 0.5


def test_power_without_gain_is_the_level_and_grows_with_gain_and_seeds() -> None:
    assert power(0.0, 1.0, 8) == pytest.approx(0.05)
    assert power(1.0, 1.0, 4) < power(1.0, 1.0, 8) < power(2.0, 1.0, 8)
    assert power(1.0, 1.0, 8) == pytest.approx(power(-1.0, 1.0, 8))
    assert power(5.0, 1.0, 1) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_interval([]), "paired_interval: expected at least one number"),
        (lambda: sign_flip_p([0.1, math.nan]), "all finite, got .*leave out failed seeds"),
        (lambda: paired_interval([0.1], confidence=1.0), r"confidence in \(0, 1\), got 1.0"),
        (lambda: sign_flip_p([0.1] * 41), "at most 40 seeds, got 41; .*use the interval"),
        (lambda: smallest_p(0), "seeds >= 1, got 0"),
        (lambda: ranks({"a": [0.1], "b": [0.1, 0.2]}), "equally many scores for every method"),
        (lambda: power(1.0, 0.0, 8), "deviation > 0, got 8 and 0.0"),
    ],
)
def test_refuses_what_it_cannot_compare(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


def test_p_of_many_seeds_equals_a_list_of_all_patterns() -> None:
    draws = np.random.default_rng(0)
    for seeds in (11, 12, 16):
        differences = draws.normal(0.4, 1.0, seeds)
        signs = np.array(list(itertools.product([-1, 1], repeat=seeds)))
        reached = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12
        assert sign_flip_p(list(differences)) == reached.mean()


def test_as_many_seeds_as_a_study_may_have_can_be_tested() -> None:
    assert sign_flip_p([0.01 + 0.001 * seed for seed in range(MOST_SEEDS)]) == 2.0 ** (1 - 40)
