"""Trials on disk: whole lines back, a cut one mended, the best by score."""

from pathlib import Path

from segdistill.studies.trials import Status, Trial, append_trial, best_trial, read_trials


def trial(number: int, miou: float | None, status: Status = "done") -> Trial:
    return Trial("p", "kl", number, {"training.lr": 0.1}, 7, "h", status, miou, 4, 8, 1.5)


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    assert read_trials(file) == []
    for number in range(3):
        append_trial(file, trial(number, 0.1 * number))
    assert read_trials(file) == [trial(number, 0.1 * number) for number in range(3)]


def test_a_line_that_a_kill_cut_short_is_left_out_and_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    append_trial(file, trial(0, 0.5))
    with file.open("a") as out:
        out.write('{"pair": "p", "meth')
    assert read_trials(file) == [trial(0, 0.5)]
    append_trial(file, trial(1, 0.6))
    assert read_trials(file) == [trial(0, 0.5), trial(1, 0.6)]


def test_the_best_was_trained_to_the_end_and_came_first() -> None:
    tried = [trial(0, 0.3), trial(1, 0.9, "pruned"), trial(2, None, "failed"), trial(3, 0.3)]
    assert best_trial(tried) == tried[0]
    assert best_trial([trial(0, 0.3), trial(1, 0.4)]) == trial(1, 0.4)
    assert best_trial(tried[1:3]) is None
