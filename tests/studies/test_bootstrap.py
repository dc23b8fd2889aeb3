"""Bootstrap over images: exact estimates, reproducible, paired, as wide as it should be."""

import numpy as np
import pytest

from segdistill.studies.bootstrap import bootstrap_difference, bootstrap_mean, bootstrap_miou


def drawn(images: int, right: float, seed: int, classes: int = 4) -> np.ndarray:
    """Confusion matrices of images whose pixels are right with a probability of their own."""
    random = np.random.default_rng(seed)
    truth = np.random.default_rng(99).integers(20, 200, size=(images, classes))
    counts = np.zeros((images, classes, classes), dtype=np.int64)
    for n in range(images):
        chance = np.clip(right + 0.1 * random.standard_normal(), 0, 1)
        shares = np.full((classes, classes), (1 - chance) / (classes - 1))
        np.fill_diagonal(shares, chance)
        for k in range(classes):
            counts[n, k] = random.multinomial(truth[n, k], shares[k])
    return counts


def miou(counts: np.ndarray) -> float:
    hits, total = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    ious = [h / (t - h) for h, t in zip(hits, total, strict=True) if t - h > 0]
    return float(np.mean(ious))


def test_the_estimate_is_the_score_of_all_images() -> None:
    counts = drawn(30, 0.7, seed=1)
    found = bootstrap_miou(counts)
    assert found.estimate == pytest.approx(miou(counts.sum(axis=0)), abs=1e-12)
    assert found.low < found.estimate < found.high


def test_resamples_equal_a_loop_that_sums_whole_matrices() -> None:
    counts = drawn(12, 0.7, seed=1)
    found = bootstrap_miou(counts, resamples=300, seed=5)
    from segdistill.seeding import derive

    random = np.random.default_rng(derive(5, "bootstrap"))
    values = []
    for draws in random.multinomial(12, np.full(12, 1 / 12), size=300):
        values.append(miou(np.einsum("n,nij->ij", draws, counts)))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_absent_classes_are_left_out() -> None:
    counts = drawn(10, 0.8, seed=2)
    wider = np.zeros((10, 5, 5), dtype=np.int64)
    wider[:, :4, :4] = counts
    assert bootstrap_miou(wider) == bootstrap_miou(counts)


def test_a_model_equals_itself_and_swapping_swaps() -> None:
    one, other = drawn(40, 0.7, seed=1), drawn(40, 0.75, seed=2)
    same = bootstrap_difference(one, one)
    assert (same.low, same.estimate, same.high) == (0, 0, 0)
    there, back = bootstrap_difference(one, other), bootstrap_difference(other, one)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_seeds_fix_the_draws() -> None:
    counts = drawn(20, 0.7, seed=1)
    assert bootstrap_miou(counts, seed=3) == bootstrap_miou(counts, seed=3)
    assert bootstrap_miou(counts, seed=3) != bootstrap_miou(counts, seed=4)


def test_finds_a_model_that_is_better_on_its_images() -> None:
    found = bootstrap_difference(drawn(100, 0.8, seed=1), drawn(100, 0.7, seed=2))
    assert found.excludes_zero()
    assert found.low > 0


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = miou(drawn(20_000, 0.7, seed=0).sum(axis=0))
    found = [bootstrap_miou(drawn(60, 0.7, seed=s), resamples=300) for s in range(1, 121)]
    share = np.mean([interval.low <= truth <= interval.high for interval in found])
    assert 0.88 <= share <= 0.99


def test_refuses_what_was_not_counted_on_the_same_images() -> None:
    counts = drawn(10, 0.7, seed=1)
    with pytest.raises(
        ValueError, match=r"the same labelled images.*evaluate both on the same split"
    ):
        bootstrap_difference(counts, counts[:9])
    with pytest.raises(ValueError, match="with different labels"):
        bootstrap_difference(counts, counts.swapaxes(1, 2))
    with pytest.raises(ValueError, match=r"integer counts \(N, K, K\), got float64 \(10, 4, 4\)"):
        bootstrap_miou(counts / 2)
    with pytest.raises(ValueError, match="a labelled pixel in every image"):
        bootstrap_miou(counts * 0)
    with pytest.raises(ValueError, match="resamples >= 1 and confidence"):
        bootstrap_miou(counts, resamples=0)


def test_the_mean_of_several_trainings_is_resampled_on_the_same_images() -> None:
    first, second = drawn(20, 0.8, seed=1), drawn(20, 0.6, seed=2)
    assert bootstrap_mean([first]) == bootstrap_miou(first)
    both = bootstrap_mean([first, second])
    alone = [bootstrap_miou(each) for each in (first, second)]
    assert both.estimate == pytest.approx((alone[0].estimate + alone[1].estimate) / 2)
    assert both.low < both.estimate < both.high
    with pytest.raises(ValueError, match=r"the same images of every training, got \[\(20, 4, 4\)"):
        bootstrap_mean([first, second[:10]])
    with pytest.raises(ValueError, match="bootstrap_mean"):
        bootstrap_mean([])
