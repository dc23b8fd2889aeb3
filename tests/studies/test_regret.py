"""Regret of the search: the best trial against the median, and ranges that are too short."""

import pytest

from segdistill.config import Range
from segdistill.runs.trials import Trial
from segdistill.studies.regret import regret


def trial(number: int, lr: object, miou: float | None, status: str = "done") -> Trial:
    values = {"training.lr": lr}
    return Trial("student", "kl", number, values, 0, "h", status, miou, 4, 4, 1.0)  # type: ignore[arg-type]


def test_is_the_best_trial_minus_the_median_of_those_trained_to_the_end() -> None:
    trials = [trial(0, 0.02, 0.30), trial(1, 0.03, 0.34), trial(2, 0.05, 0.31)]
    trials += [trial(3, 0.04, 0.10, "pruned"), trial(4, 0.04, None, "failed")]
    found = regret(trials, {"training.lr": Range(low=0.005, high=0.08, log=True)})
    assert found is not None
    assert found.gain == pytest.approx(0.34 - 0.31)
    assert found.ends == {}
    assert regret(trials[3:], {}) is None


@pytest.mark.parametrize(
    ("lr", "end"), [(0.0101, "low"), (0.0135, None), (0.98, "high"), (0.7, None)]
)
def test_names_a_range_whose_end_was_chosen(lr: float, end: str | None) -> None:
    space = {"training.lr": Range(low=0.01, high=1.0, log=True)}
    found = regret([trial(0, lr, 0.3)], space)
    assert found is not None
    assert found.ends == ({} if end is None else {"training.lr": end})


def test_the_ends_of_a_list_need_three_numbers() -> None:
    for values, end in (((1, 2, 4), {"training.lr": "high"}), ((1, 4), {}), (("a", 2, 4), {})):
        found = regret([trial(0, 4, 0.3)], {"training.lr": values})
        assert found is not None
        assert found.ends == end
