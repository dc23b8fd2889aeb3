"""Trials on disk: whole lines back, a cut one mended, each as its run folder says."""

from pathlib import Path

import pytest

from segdistill.errors import RunFolderError
from segdistill.runs.layout import TRIALS
from segdistill.runs.metrics import EvaluationLine, append_metrics
from segdistill.runs.result import Failure, Pruned, write_failure, write_pruned, write_result
from segdistill.runs.settings import write_settings
from segdistill.runs.trials import Trial, append_trial, read_trial, read_trials

from .records import result


def trial(number: int, miou: float | None) -> Trial:
    return Trial("p", "kl", number, {"training.lr": 0.1}, 7, "h", "done", miou, 4, 8, 1.5)


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    assert read_trials(tmp_path) == []
    for number in range(3):
        append_trial(tmp_path, trial(number, 0.1 * number))
    assert read_trials(tmp_path) == [trial(number, 0.1 * number) for number in range(3)]


def test_a_line_that_a_kill_cut_short_is_left_out_and_taken_away(tmp_path: Path) -> None:
    append_trial(tmp_path, trial(0, 0.5))
    with (tmp_path / TRIALS).open("a") as out:
        out.write('{"pair": "p", "meth')
    assert read_trials(tmp_path) == [trial(0, 0.5)]
    append_trial(tmp_path, trial(1, 0.6))
    assert read_trials(tmp_path) == [trial(0, 0.5), trial(1, 0.6)]


def test_a_run_that_has_ended_says_what_its_trial_was(tmp_path: Path) -> None:
    for name in ("done", "pruned", "failed", "open"):
        (tmp_path / name).mkdir()
        write_settings(tmp_path / name, {"data": {"seed": 7}, "training": {"steps": 8}})
        line = EvaluationLine(step=2, split="holdout", miou=0.25, pixel_accuracy=0.5)
        append_metrics(tmp_path / name, line)
    write_result(tmp_path / "done", result(miou=0.3, step=8, seconds=2.0))
    cut = Pruned(step=2, miou=0.25, config_hash="h", seconds=1.0)
    write_pruned(tmp_path / "pruned", cut)
    write_failure(tmp_path / "failed", Failure(error="nan", step=5, config_hash="h"))
    found = {
        name: read_trial(tmp_path / name, "p", "kl", 0, {}) for name in ("done", "pruned", "failed")
    }
    assert {name: own.status for name, own in found.items()} == dict(zip(found, found, strict=True))
    assert {name: own.miou for name, own in found.items()} == {
        "done": 0.3,
        "pruned": 0.25,
        "failed": None,
    }
    assert [own.step for own in found.values()] == [8, 2, 5]
    assert found["failed"].error == "nan"
    assert found["done"].scores == {"2": 0.25}
    assert (found["done"].data_seed, found["done"].steps, found["done"].seconds) == (7, 8, 2.0)
    with pytest.raises(RunFolderError, match="expected a run that has ended"):
        read_trial(tmp_path / "open", "p", "kl", 0, {})
