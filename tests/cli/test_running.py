"""train and distill: where a run goes, what is printed where, and how it goes on."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from segdistill import config
from segdistill.config import RunConfig
from segdistill.files import LEDGER
from segdistill.runs.layout import RESULT
from segdistill.runs.result import read_result
from segdistill.runs.settings import read_args
from segdistill.training.events import Event, Progress, Tell

from .conftest import Cli, Trained


def test_a_run_goes_to_the_recipes_next_free_folder(trained: Trained, cli: Cli) -> None:
    assert trained.folder.parts[-2:] == ("runs", "tiny-1")
    made = {path.name for path in trained.folder.iterdir()}
    assert made == {"plain", "kl", "report.html", LEDGER}


def test_results_are_on_stdout_and_progress_on_stderr(trained: Trained) -> None:
    out, err = trained.done.out, trained.done.err
    assert out.splitlines()[0].split() == ["plain", "kl"]
    for label in ("mIoU %", "parameters M", "GFLOPs per image", "IoU road"):
        assert any(line.startswith(label) for line in out.splitlines()), label
    assert "training plain kl: 4/4" in err
    assert "kl: step 4: val mIoU" in err
    assert "training plain kl" not in out
    assert "\x1b" not in err


def test_the_end_says_what_to_type_next(trained: Trained) -> None:
    *_, report, following = trained.done.out.splitlines()
    assert report == "report: runs/tiny-1/report.html"
    best = max(("plain", "kl"), key=lambda name: read_result(trained.folder / name).miou)
    assert following.startswith(f"next: segdistill evaluate runs/tiny-1/{best}, or ")


def test_a_finished_run_says_so_and_shows_its_results_again(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(trained.folder.parents[1])
    before = (trained.run / RESULT).read_bytes()
    done = cli("distill", "tiny.yaml", "training.evaluate_every=4", "--resume")
    assert done.code == 0
    assert "runs/tiny-1: this run is finished; nothing to do" in done.err
    assert done.out == trained.done.out
    assert (trained.run / RESULT).read_bytes() == before


def test_another_runs_folder_is_refused(trained: Trained, cli: Cli) -> None:
    done = cli("distill", "tiny.yaml", "training.lr=0.5", "--out", trained.folder)
    assert done.code == 2
    assert "expected a run with the same settings" in done.err
    assert "choose another folder with --out" in done.err


@contextmanager
def interrupting() -> Iterator[Tell]:
    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    yield tell


def test_an_interrupted_run_exits_130_and_its_next_line_finishes_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "tiny.yaml", "training.log_every=1", "training.checkpoint_every=100"]
    with monkeypatch.context() as patched:
        patched.setattr("segdistill.cli.progress.display", interrupting)
        stopped = cli(*words)
    assert (stopped.code, stopped.out) == (130, "")
    said, following = stopped.err.splitlines()
    assert said == "segdistill: stopped after step 3; continue with --resume"
    command = f"segdistill {' '.join(words)} --out runs/tiny-1 --resume"
    assert following == f"next: {command}"
    assert read_args(Path("runs/tiny-1")) is not None
    done = cli(*command.split()[1:])
    assert done.code == 0
    assert "resuming after step 3" in done.err
    assert read_result(Path("runs/tiny-1")).step == 4
    # Learners that differ in what they distil are one without a teacher.
    assert done.out.splitlines()[0].split() == ["tiny-1"]
    assert "teacher.weights=runs/tiny-1/model.safetensors" in done.out

    again = cli(*words, "--resume", "--json")
    result = json.loads(again.out)
    assert (result["name"], result["folder"]) == ("tiny-1", "runs/tiny-1")
    assert result["method"] == "plain"


def test_a_config_is_checked_once_for_each_learner(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    check = config.check

    def count(*given: Any, **named: Any) -> RunConfig:
        checked.append(given)
        return check(*given, **named)

    monkeypatch.setattr(config, "check", count)
    assert cli("train", "tiny.yaml", "training.steps=1").code == 0
    assert len(checked) == 2  # the tiny cohort has two learners


def test_equal_students_share_one_measurement_with_their_teacher(trained: Trained) -> None:
    plain, kl = (read_result(trained.folder / name).cost for name in ("plain", "kl"))
    assert plain is not None
    assert plain == kl
    assert plain.timed
    low, middle, high = plain.latency_low_ms, plain.latency_ms, plain.latency_high_ms
    assert low is not None
    assert middle is not None
    assert high is not None
    assert 0 < low <= middle <= high
    assert plain.teacher_latency_ms is not None
