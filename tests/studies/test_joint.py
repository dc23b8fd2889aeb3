"""The joint test: exact by counting, one p and one interval that never disagree."""

import itertools
import math
import random as stdlib_random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdistill.studies.joint import EXACT_SEEDS, joint_test
from segdistill.studies.statistics import paired_interval, sign_flip_p

Table = Mapping[str, Mapping[int, float]]

KL = dict(enumerate([0.021, 0.012, 0.030, 0.008, 0.017, 0.026]))
SKD = dict(enumerate([0.010, -0.004, 0.013, 0.006, -0.002, 0.011]))
MGD = dict(enumerate([-0.009, 0.003, 0.001, -0.012, 0.004, -0.005]))


def by_counting(table: Table) -> dict[str, float]:
    """Step-down max-T over all patterns of signs, one float at a time; equal seeds for all."""

    def statistic(values: list[float]) -> float:
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        return abs(mean) / math.sqrt(squares) if squares else math.inf if mean else 0.0

    def flipped(name: str, signs: tuple[int, ...]) -> float:
        return statistic(
            [sign * value for sign, value in zip(signs, table[name].values(), strict=True)]
        )

    seeds = len(next(iter(table.values())))
    patterns = list(itertools.product([1, -1], repeat=seeds))
    order = sorted(table, key=lambda name: -flipped(name, (1,) * seeds))
    p, largest = {}, 0.0
    for place, name in enumerate(order):
        observed = flipped(name, (1,) * seeds)
        reached = sum(
            max(flipped(other, signs) for other in order[place:]) >= observed * (1 - 1e-9)
            for signs in patterns
        )
        largest = max(largest, reached / len(patterns))
        p[name] = largest
    return p


def test_p_is_the_share_of_patterns_counted_one_by_one() -> None:
    table = {"kl": KL, "skd": SKD, "mgd": MGD}
    assert {name: one.p for name, one in joint_test(table).items()} == by_counting(table)


@given(st.lists(st.floats(-0.05, 0.05).map(lambda x: round(x, 3)), min_size=2, max_size=9))
def test_one_method_alone_has_the_p_of_the_sign_flip_test(gains: list[float]) -> None:
    assert joint_test({"kl": dict(enumerate(gains))})["kl"].p == sign_flip_p(gains)


@pytest.mark.parametrize("methods", [1, 4, 30])
def test_eight_seeds_reach_the_least_p_for_any_number_of_methods(methods: int) -> None:
    random = np.random.default_rng(0)
    table = {str(m): dict(enumerate(random.normal(0, 0.01, 8))) for m in range(methods - 1)}
    table["best"] = dict(enumerate(0.05 + 0.001 * random.normal(size=8)))
    found = joint_test(table)["best"]
    assert found.p == found.smallest_p == 2 / 2**8
    assert found.interval.low > 0


tables = st.integers(1, 6).flatmap(
    lambda methods: st.dictionaries(
        st.sampled_from("abcdef"),
        st.dictionaries(st.integers(0, 8), st.floats(-0.03, 0.04), min_size=1),
        min_size=1,
        max_size=methods,
    )
)


@given(tables)
@settings(max_examples=300)
def test_interval_and_p_never_disagree(table: Table) -> None:
    for name, found in joint_test(table).items():
        assert (found.p <= 0.05) == found.interval.excludes_zero(), name
        assert found.interval.low <= found.interval.estimate <= found.interval.high
        assert found.smallest_p <= found.p <= 1


@given(tables, st.integers(0, 1000))
def test_the_order_of_methods_and_seeds_does_not_matter(table: Table, seed: int) -> None:
    shuffle = stdlib_random.Random(seed)

    def shuffled(own: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(shuffle.sample(list(own.items()), len(own)))

    other = joint_test(shuffled({name: shuffled(own) for name, own in table.items()}))
    for name, found in joint_test(table).items():
        assert other[name].p == pytest.approx(found.p)
        assert other[name].interval.low == pytest.approx(found.interval.low, abs=1e-12)


@given(tables, st.floats(0.01, 100))
def test_the_unit_of_the_scores_does_not_matter(table: Table, unit: float) -> None:
    scaled = {name: {s: unit * x for s, x in own.items()} for name, own in table.items()}
    other = joint_test(scaled)
    assert all(other[name].p == found.p for name, found in joint_test(table).items())


@given(tables)
def test_intervals_are_no_shorter_than_those_of_each_method_by_itself(table: Table) -> None:
    for name, found in joint_test(table).items():
        single = paired_interval(list(table[name].values()))
        near, far = (
            (single.low, single.high) if single.estimate > 0 else (-single.high, -single.low)
        )
        ends = found.interval
        reached = (ends.low, ends.high) if single.estimate > 0 else (-ends.high, -ends.low)
        assert reached[1] >= far - 1e-12
        assert reached[0] <= max(near, 1e-300) + 1e-12


def test_a_method_that_lost_a_seed_is_tested_over_its_own_seeds() -> None:
    short = {seed: gain for seed, gain in KL.items() if seed != 2}
    found = joint_test({"kl": short, "skd": SKD})
    assert found["kl"].smallest_p == 2 / 2**5
    assert found["kl"].interval.estimate == pytest.approx(sum(short.values()) / 5)
    assert found["skd"].smallest_p == 2 / 2**6
    assert not found["kl"].interval.excludes_zero(), "five seeds cannot reach 0.05"


def test_a_method_of_few_seeds_does_not_hide_the_others() -> None:
    # Its t is large by chance in one flip of four; on the scale of tails that is nothing rare.
    found = joint_test({"kl": KL, "two seeds": {0: 0.010, 1: 0.0101}})
    assert found["kl"].p == pytest.approx(sign_flip_p(list(KL.values())))
    assert found["two seeds"].p >= 0.5


def test_one_seed_proves_nothing() -> None:
    found = joint_test({"kl": {0: 0.1}})["kl"]
    assert (found.p, found.interval.low, found.interval.high) == (1.0, -math.inf, math.inf)


def test_methods_without_any_difference_are_not_told_apart() -> None:
    found = joint_test({"same": dict.fromkeys(range(8), 0.0), "kl": KL})
    assert (found["same"].p, found["same"].interval.low, found["same"].interval.high) == (1, 0, 0)


def test_with_more_seeds_flips_are_sampled_and_that_is_said() -> None:
    random = np.random.default_rng(1)
    most = {
        "a": dict(enumerate(random.normal(0.004, 0.01, EXACT_SEEDS + 1))),
        "b": dict(enumerate(random.normal(0, 0.01, EXACT_SEEDS + 1))),
    }
    found = joint_test(most)
    assert not found["a"].exact
    assert found["a"].smallest_p == 2.0**-EXACT_SEEDS * 2
    assert joint_test(most) == found, "the draws come from the seed"
    alone = joint_test({"a": most["a"]})["a"].p
    assert alone == pytest.approx(sign_flip_p(list(most["a"].values())), abs=0.01)
    assert joint_test({"a": KL})["a"].exact


def test_refuses_differences_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"finite differences of kl.*leave out failed seeds"):
        joint_test({"kl": {0: math.nan}})
    with pytest.raises(ValueError, match="finite differences of kl"):
        joint_test({"kl": {}})
    with pytest.raises(ValueError, match=r"confidence in \(0, 1\), got 95"):
        joint_test({"kl": KL}, confidence=95)
    assert joint_test({}) == {}
