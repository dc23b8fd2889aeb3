"""The sentence about a method: never "better" where the interval contains 0."""

import re

from hypothesis import given
from hypothesis import strategies as st

from segdistill.studies.comparison import compare
from segdistill.studies.verdict import points, verdict, word

PLAIN = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37]


def shifted(*gains: float) -> list[float]:
    return [base + gain for base, gain in zip(PLAIN, gains, strict=True)]


def test_says_better_or_worse_with_the_evidence() -> None:
    better = compare(shifted(*[0.02, 0.021, 0.019, 0.02, 0.022, 0.018, 0.02, 0.02]), PLAIN)
    text = verdict("kl", "plain", better)
    assert text == (
        "kl is better than plain: +2.0 mIoU points "
        "(95 % interval +1.9 to +2.1, 8 seeds, p = 0.0078)."
    )
    worse = compare(PLAIN, shifted(*[0.02] * 7, 0.021))
    assert "plain is worse than kl: −2.0 mIoU points" in verdict("plain", "kl", worse)


def test_says_that_no_difference_was_shown() -> None:
    mixed = compare(shifted(0.02, -0.02, 0.01, -0.01, 0.005, -0.004, 0.01, 0.0), PLAIN)
    assert verdict("kl", "plain", mixed).startswith(
        "No difference between kl and plain was shown: +0.1 mIoU points"
    )


def test_says_that_one_seed_or_few_seeds_prove_nothing() -> None:
    one = verdict("kl", "plain", compare([0.4], [0.3]))
    assert "+10.0 mIoU points against plain on one seed, which cannot distinguish" in one
    few = verdict("kl", "plain", compare([0.40, 0.41, 0.42], [0.30, 0.31, 0.321]))
    assert few.startswith("No difference between kl and plain was shown: +10.0 mIoU points")
    assert few.endswith("; so few seeds cannot give a p below 0.25.")


def test_says_that_two_are_equal_within_the_margin() -> None:
    found = compare(shifted(*[0.001, -0.001] * 4), PLAIN)
    text = verdict("kl", "plain", found)
    assert text.startswith("kl and plain are equal within ±0.5 points: 0.0 mIoU points (95 %")
    assert word(found) == "equal"
    assert word(found, margin=0.0005) == "no difference shown"
    small = compare(shifted(*[0.001, 0.0012] * 4), PLAIN)
    assert "is better than plain" in verdict("kl", "plain", small)
    assert verdict("kl", "plain", small).endswith("and the difference is within ±0.5 points.")


def test_explains_a_mean_that_most_pairs_of_runs_contradict() -> None:
    lucky = compare(shifted(0.3, *[-0.02] * 7), PLAIN)
    text = verdict("kl", "plain", lucky)
    assert "No difference" in text
    assert "A run of kl beats a run of plain in only" in text
    assert "a few large differences dominate the mean" in text
    assert "few large" not in verdict("kl", "plain", compare(shifted(*[0.02] * 8), PLAIN))


@given(st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=8))
def test_never_says_better_where_the_interval_contains_zero(gains: list[float]) -> None:
    baseline = PLAIN[: len(gains)]
    found = compare([base + gain for base, gain in zip(baseline, gains, strict=True)], baseline)
    said = re.search(r"\b(better|worse)\b", verdict("kl", "plain", found))
    if not found.simultaneous.excludes_zero() or found.p_joint > 0.05:
        assert said is None
    else:
        assert said is not None
        assert said[0] == ("better" if found.difference.estimate > 0 else "worse")


def test_points_carry_their_sign() -> None:
    assert [points(x) for x in (0.0123, -0.0123, 0.0001, -0.0001)] == ["+1.2", "−1.2", "0.0", "0.0"]
