"""Comparisons: paired by seed, symmetric, corrected, and silent where nothing is proven."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.studies.comparison import compare, compare_all, compare_by_seed

PLAIN = [0.321, 0.370, 0.352, 0.341, 0.360, 0.335]
KL = [0.383, 0.399, 0.371, 0.362, 0.377, 0.369]
scores = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=1, max_size=8)


def test_one_seed_has_an_interval_without_end() -> None:
    found = compare([0.5], [0.4])
    assert (found.difference.low, found.difference.high) == (-math.inf, math.inf)
    assert math.isnan(found.deviation)
    assert not found.claims()


def test_equal_scores_have_no_difference() -> None:
    found = compare(KL, KL)
    assert (found.difference.low, found.difference.high, found.p) == (0, 0, 1)
    assert not found.claims()


def test_several_methods_are_corrected_together() -> None:
    found = compare_all({"kl": KL, "same": PLAIN}, PLAIN)
    assert found["kl"].p == 2 / 64
    assert found["kl"].p_joint == found["kl"].smallest_p == 2 / 64
    assert found["kl"].p_holm == 4 / 64, "Holm could not have claimed it"
    assert found["kl"].claims()


@given(scores, st.integers(0, 1000))
def test_swapping_two_methods_swaps_the_result(method: list[float], seed: int) -> None:
    draws = random.Random(seed)
    baseline = [round(draws.random(), 3) for _ in method]
    one, other = compare(method, baseline), compare(baseline, method)
    assert one.difference.estimate == pytest.approx(-other.difference.estimate, abs=1e-12)
    assert one.difference.low == pytest.approx(-other.difference.high, abs=1e-9)
    assert one.p == other.p
    assert one.improvement == pytest.approx(1 - other.improvement)
    assert (one.p_joint, one.claims()) == (other.p_joint, other.claims())


def test_the_order_of_the_seeds_does_not_matter() -> None:
    order = [3, 0, 5, 1, 4, 2]
    one, other = compare(KL, PLAIN), compare([KL[i] for i in order], [PLAIN[i] for i in order])
    assert one.p == other.p
    assert one.difference.low == pytest.approx(other.difference.low)


def test_is_the_mean_and_deviation_of_the_method() -> None:
    found = compare(KL, PLAIN)
    assert found.seeds == 6
    assert found.mean == pytest.approx(sum(KL) / 6)
    assert found.deviation == pytest.approx(statistics.stdev(KL))


def test_refuses_scores_that_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="one baseline score per seed, got 2 scores and 1"):
        compare([0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="at least one number"):
        compare([], [])
    with pytest.raises(ValueError, match="all finite"):
        compare([math.nan], [0.1])


def test_equal_within_a_margin_needs_the_whole_interval_and_enough_seeds() -> None:
    near = [base + change for base, change in zip(PLAIN, (1e-3, -1e-3) * 3, strict=True)]
    found = compare(near, PLAIN)
    reach = max(-found.simultaneous.low, found.simultaneous.high)
    assert 0 < reach < 0.005
    assert found.equals(0.005)
    assert not found.equals(reach)
    assert not found.equals(0.0)
    assert not compare(near[:5], PLAIN[:5]).equals(0.5), "five seeds could not have differed"


def test_the_least_p_is_never_above_the_p_of_a_method_that_lost_seeds() -> None:
    baseline = dict.fromkeys(range(8), 0.3)
    whole = {seed: 0.4 + 0.001 * seed for seed in range(8)}
    short = {seed: whole[seed] for seed in range(6)}
    found = compare_by_seed({"whole": whole, "short": short}, baseline)
    # Every difference is above 0, so both ps are the least of their seeds.
    assert (found["whole"].p_joint, found["short"].p_joint) == (2 / 256, 2 / 64)
    assert (found["whole"].smallest_p, found["short"].smallest_p) == (2 / 256, 2 / 64)
