"""decide: the cheapest of the models that cannot be told from the best one."""

import numpy as np
import pytest

from segdistill.studies.budget import decide
from segdistill.studies.statistics import Interval

PIXELS = 1000


def counts(*errors: int) -> np.ndarray:
    """Return matrices of two classes, so many of each 1000 pixels wrong in either."""
    return np.array([[[PIXELS - wrong, wrong], [wrong, PIXELS - wrong]] for wrong in errors])


def ms(median: float, spread: float = 0.1) -> Interval:
    return Interval(median - spread, median, median + spread)


CLEAR, CLEARLY_WORSE = counts(10, 12, 11, 9), counts(110, 90, 105, 95)
UNSURE = counts(12, 9, 10, 12)  # on average a little worse than CLEAR, on two images better


def test_the_better_is_chosen_where_images_agree_that_it_is() -> None:
    verdict = decide({"slow": CLEAR, "fast": CLEARLY_WORSE}, {"slow": ms(20), "fast": ms(5)})
    assert (verdict.chosen, verdict.best, verdict.equals) == ("slow", "slow", ())
    # (IoU of n wrong in either class is (1000 - n) / (1000 + n), here 42 and 400 of 4000.)
    assert verdict.miou["slow"].estimate == pytest.approx(3958 / 4042)
    assert verdict.behind["fast"].estimate == pytest.approx(3958 / 4042 - 3600 / 4400)
    assert verdict.behind["fast"].low > 0


def test_the_cheaper_is_chosen_where_two_cannot_be_told_apart() -> None:
    verdict = decide({"slow": CLEAR, "fast": UNSURE}, {"slow": ms(20), "fast": ms(5)})
    assert (verdict.chosen, verdict.best, verdict.equals) == ("fast", "slow", ("fast",))


def test_a_cost_within_the_others_range_is_no_reason() -> None:
    noisy = {"slow": ms(20), "fast": ms(19.9, spread=0.5)}
    assert decide({"slow": CLEAR, "fast": UNSURE}, noisy).chosen == "slow"


def test_more_models_ask_for_wider_intervals() -> None:
    first = {"a": CLEAR, "b": CLEARLY_WORSE}
    alone = decide(first, dict.fromkeys(first, ms(1))).behind["b"]
    more = first | {f"c{number}": CLEARLY_WORSE for number in range(8)}
    together = decide(more, dict.fromkeys(more, ms(1))).behind["b"]
    assert (alone.confidence, together.confidence) == (0.95, pytest.approx(1 - 0.05 / 9))
    assert together.low < alone.low


def test_refuses_models_without_a_cost_and_other_images() -> None:
    with pytest.raises(ValueError, match="counts and a cost each"):
        decide({"a": CLEAR}, {})
    with pytest.raises(ValueError, match="evaluate both on the same split"):
        decide({"a": CLEAR, "b": CLEAR[:3]}, {"a": ms(1), "b": ms(1)})
