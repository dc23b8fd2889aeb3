"""Where chance lies: variance components that were planted are found, by hand and by simulation."""

import numpy as np
import pytest

from segdistill.studies.bootstrap import bootstrap_difference, bootstrap_miou
from segdistill.studies.comparison import by_search, compare_by_seed
from segdistill.studies.variance import Variance, image_variance, median_of_searches, nested


def images(seed: int, count: int = 40) -> np.ndarray:
    random = np.random.default_rng(seed)
    right = random.integers(20, 200, size=(count, 3))
    counts = random.integers(0, 40, size=(count, 3, 3))
    counts[:, range(3), range(3)] = right
    return counts


def test_components_equal_those_worked_out_by_hand() -> None:
    # Two searches of two seeds: means 2 and 6, each with squares 2 within.
    differences = {0: 1.0, 1: 5.0, 2: 3.0, 3: 7.0}
    search, seed = nested(differences, {0: 0, 1: 1, 2: 0, 3: 1})
    assert seed == pytest.approx(4 / 2)
    assert search == pytest.approx((16 - 2) / 2)
    assert nested(differences, None) == (None, pytest.approx(np.var([1, 5, 3, 7], ddof=1)))
    assert nested(differences, {seed: seed for seed in differences}) == (None, None)


def test_planted_components_are_found_on_average() -> None:
    random = np.random.default_rng(0)
    searches = {seed: seed % 4 for seed in range(12)}
    found = []
    for _ in range(2000):
        luck = 0.02 * random.standard_normal(4)
        noise = 0.01 * random.standard_normal(12)
        found.append(nested({s: luck[searches[s]] + noise[s] for s in searches}, searches))
    search, seed = np.mean([[a or 0.0, b or 0.0] for a, b in found], axis=0)
    assert seed == pytest.approx(0.01**2, rel=0.05)
    assert search == pytest.approx(0.02**2, rel=0.1)


def test_shares_are_of_what_is_known() -> None:
    assert Variance(3.0, 1.0, None).shares() == {"search": 0.75, "seed": 0.25}
    assert Variance(None, 0.0, 0.0).shares() == {}


def test_the_variance_over_images_is_that_of_a_bootstrap() -> None:
    one, other = images(1), images(2)
    half = bootstrap_miou(one, resamples=4000)
    assert 2 * 1.96 * image_variance(one) ** 0.5 == pytest.approx(half.high - half.low, rel=0.06)
    rows = one.copy()  # the same labels, other predictions
    rows[:, 0, 0] -= 10
    rows[:, 0, 1] += 10
    moved = bootstrap_difference(rows, one, resamples=4000)
    expected = 2 * 1.96 * image_variance(rows, one) ** 0.5
    assert expected == pytest.approx(moved.high - moved.low, rel=0.06)
    assert image_variance(one, one) == 0
    with pytest.raises(ValueError, match="at least two images, the same for both models"):
        image_variance(one, other[:5])


def test_medians_and_means_of_searches() -> None:
    searches = {0: 0, 1: 1, 2: 2, 3: 0}
    scores = {0: 0.1, 1: 0.5, 2: 0.4, 3: 0.3}
    assert by_search(scores, searches) == {0: pytest.approx(0.2), 1: 0.5, 2: 0.4}
    assert median_of_searches(scores, searches) == 0.4
    assert by_search(scores, None) is scores


def test_intervals_over_searches_hold_the_truth_and_those_over_seeds_do_not() -> None:
    # A search's luck is shared by its seeds: three of them tell little more than one.
    random = np.random.default_rng(4)
    searches, seeds, gain, studies = 4, 12, 0.01, 400
    of = {seed: seed % searches for seed in range(seeds)}
    held = {"searches": 0, "seeds": 0}
    for _ in range(studies):
        luck = 0.03 * random.standard_normal(searches)
        noise = 0.01 * random.standard_normal(seeds)
        scores = {s: gain + luck[of[s]] + noise[s] for s in of}
        for name, known in (("searches", of), ("seeds", None)):
            found = compare_by_seed({"kl": scores}, dict.fromkeys(of, 0.0), known)["kl"]
            interval = found.simultaneous
            held[name] += interval.low <= gain <= interval.high
    scatter = 2 * (0.05 * 0.95 / studies) ** 0.5
    assert held["searches"] / studies >= 0.95 - scatter
    assert held["seeds"] / studies < 0.85


def test_searches_are_the_sample_of_the_test() -> None:
    scores = {seed: 0.1 + 0.001 * seed for seed in range(12)}
    found = compare_by_seed(
        {"kl": scores}, dict.fromkeys(scores, 0.0), {seed: seed % 6 for seed in scores}
    )["kl"]
    assert (found.seeds, found.searches) == (12, 6)
    assert found.smallest_p == found.p_joint == 2 / 2**6
