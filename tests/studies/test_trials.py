"""Which trial is the best of its method."""

from segdistill.runs.trials import Status, Trial
from segdistill.studies.trials import best_trial


def trial(number: int, miou: float | None, status: Status = "done") -> Trial:
    return Trial("p", "kl", number, {"training.lr": 0.1}, 7, "h", status, miou, 4, 8, 1.5)


def test_the_best_was_trained_to_the_end_and_came_first() -> None:
    tried = [trial(0, 0.3), trial(1, 0.9, "pruned"), trial(2, None, "failed"), trial(3, 0.3)]
    assert best_trial(tried) == tried[0]
    assert best_trial([trial(0, 0.3), trial(1, 0.4)]) == trial(1, 0.4)
    assert best_trial(tried[1:3]) is None
