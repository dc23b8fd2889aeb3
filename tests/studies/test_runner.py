"""A study, whole: what it writes, and that interruptions and engines change nothing."""

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from segdistill.config import StudyConfig
from segdistill.errors import RunFolderError, SegdistillError
from segdistill.models import build_network, save_network
from segdistill.runs.layout import FAILED, LOCK, RESULT
from segdistill.runs.measured import read_measured
from segdistill.runs.plan import plan_file, read_plan
from segdistill.runs.result import read_failure, read_result
from segdistill.runs.search import read_chosen
from segdistill.runs.study import final_folder, find_final_runs, write_study
from segdistill.runs.trials import Trial, append_trial, read_trials
from segdistill.studies.results import summarize_study
from segdistill.studies.runner import run_study
from segdistill.studies.searching import choose
from segdistill.training.events import Event, Note, Progress
from segdistill.training.learner import Learner

Make = Callable[..., StudyConfig]
KL = {"distill": [{"loss": "pixelwise_kl"}], "space": {}}
LAD = {"distill": [{"loss": "layer_angular"}], "space": {}}


def findings(out: Path) -> dict[str, object]:
    """Everything in a study folder that does not depend on the clock."""
    results = {run: read_result(run.folder) for run in find_final_runs(out)}
    finals = {
        (run.pair, run.seed, run.method): (result.miou, result.config_hash)
        for run, result in results.items()
    }
    trials = sorted(
        (t.method, t.trial, json.dumps(dict(t.params)), t.status, t.miou, t.config_hash)
        for t in read_trials(out)
    )
    return {"finals": finals, "trials": trials, "chosen": read_chosen(out)}


@pytest.fixture(scope="module")
def whole(small: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study without a search; to be copied where it is changed."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    run_study(small("search.trials=0"), folder)
    return folder


def kill_after(cohorts: int, stage: str) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == stage and event.done == cohorts:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


@pytest.mark.long
def test_a_study_killed_anywhere_ends_as_if_it_had_not_been(small: Make, tmp_path: Path) -> None:
    words = ("search.sampler=tpe", "search.trials=3", "search.pruning={rungs: 1}")
    study = small(*words)
    some = {name: study.methods[name] for name in ("plain", "kl")}  # which takes less time
    study = study.model_copy(update={"methods": some})
    run_study(study, tmp_path / "whole")
    expected = findings(tmp_path / "whole")
    assert len(expected["finals"]) == 4  # type: ignore[arg-type]
    assert len(expected["trials"]) == 6  # type: ignore[arg-type]
    moments = (
        kill_after(1, "study, trials"),
        kill_after(2, "training plain kl"),
        kill_after(1, "study, final runs"),
    )
    for tell in moments:
        child = multiprocessing.get_context("fork").Process(
            target=run_study,
            args=(study, tmp_path / "killed"),
            kwargs={"resume": True, "tell": tell},
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    run_study(study, tmp_path / "killed", resume=True)
    assert findings(tmp_path / "killed") == expected


@pytest.mark.long
def test_a_method_with_a_stage_before_training_is_studied_like_any_other(
    small: Make, tmp_path: Path
) -> None:
    staged = {"distill": [{"loss": "knowledge_adaptation", "adapter_layers": 1}], "space": {}}
    run_study(small("search.trials=1", "seeds=1", methods={"ka": staged}), tmp_path)
    (cost,) = read_measured(tmp_path).values()
    assert cost.learners["ka"].prepare_seconds > 0
    results = [read_result(run.folder) for run in find_final_runs(tmp_path) if run.method == "ka"]
    assert [(result.prepare_seconds or 0.0) > 0 for result in results] == [True]


@pytest.mark.long
def test_nothing_that_ended_is_run_again(small: Make, whole: Path, tmp_path: Path) -> None:
    study = small("search.trials=0")
    shutil.copytree(whole, tmp_path / "study")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob(RESULT)}
    said: list[Event] = []
    run_study(study, tmp_path / "study", resume=True, tell=said.append)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob(RESULT)} == before
    assert not any(isinstance(event, Progress) for event in said)


@pytest.mark.long
def test_several_processes_give_what_one_gives(small: Make, whole: Path, tmp_path: Path) -> None:
    run_study(small("search.trials=0", "engine.processes=2"), tmp_path / "two")
    assert findings(tmp_path / "two") == findings(whole)


@pytest.mark.long
def test_a_dry_run_trains_none_but_writes_every_run_with_its_hash_as_it_will_be(
    small: Make, tmp_path: Path
) -> None:
    study = small()
    said: list[Event] = []
    run_study(study, tmp_path / "study", dry_run=True, tell=said.append)
    plan = read_plan(tmp_path / "study")
    hashes = [run.config_hash for job in plan.jobs for run in job.learners.values()]
    assert len(hashes) == 3 * (2 + 2)
    assert None not in hashes[:6]  # the trials' are known
    assert len(set(hashes[:6])) == 6
    assert hashes[6:] == [None] * 6  # those of the comparison depend on them
    assert plan.estimate is not None
    assert plan.estimate.apart_seconds > plan.estimate.final_seconds > 0
    assert not list(tmp_path.rglob(RESULT))
    assert any(isinstance(event, Note) and "12 runs in 4 cohorts" in event.text for event in said)
    said.clear()
    run_study(study, tmp_path / "study", tell=said.append)
    trials = {t.config_hash for t in read_trials(tmp_path / "study")}
    assert trials == set(hashes[:6])
    counted = [(e.done, e.total) for e in said if isinstance(e, Progress) and "trials" in e.stage]
    assert counted == [(1, 2), (2, 2)], "of all trials of the study"


@pytest.mark.long
def test_a_trial_that_diverges_is_recorded_and_not_chosen(small: Make, tmp_path: Path) -> None:
    space = {"training.lr": [1e30, 0.02]}
    search = {"sampler": "grid", "space": space}
    study = small("seeds=1", search=search, methods={"kl": KL, "lad": LAD})
    run_study(study, tmp_path)
    trials = read_trials(tmp_path)
    assert [(t.trial, t.status) for t in trials] == [(0, "failed")] * 3 + [(1, "done")] * 3
    assert all("expected a finite loss" in str(t.error) for t in trials[:3])
    chosen = read_chosen(tmp_path)["student"]
    assert {method: found.trial for method, found in chosen.items()} == dict.fromkeys(chosen, 1)


@pytest.mark.long
def test_a_final_run_that_diverges_is_recorded_and_the_others_go_on(
    small: Make, tmp_path: Path
) -> None:
    healthy = small("search.trials=0")
    run_study(healthy, tmp_path, dry_run=True)
    study = small("search.trials=0", "methods.lad=[{loss: layer_angular, weight: 1.0e+38}]")
    # So that it diverges when it is trained, and not when it is measured.
    write_study(tmp_path, study.tree())
    run_study(study, tmp_path)
    failure = read_failure(final_folder(tmp_path, "student", 0, "lad"))
    assert "expected a finite loss" in failure.error
    assert f"at step {failure.step};" in failure.error
    found = summarize_study(study, tmp_path)["pairs"]["student"]["methods"]
    assert set(found["lad"]["failed"]) == {"0", "1"}
    assert found["lad"]["against_plain"] is None
    assert found["kl"]["against_plain"]["seeds"] == 2


def test_another_studys_folder_and_one_that_has_begun_are_refused(
    small: Make, whole: Path, tmp_path: Path
) -> None:
    study = small("search.trials=0")
    shutil.copytree(whole, tmp_path / "study")
    with pytest.raises(RunFolderError, match="a study that has started; continue with --resume"):
        run_study(study, tmp_path / "study")
    words = r"got different ones: seeds \[0, 1\] \(now \[5\]\); restore them"
    with pytest.raises(RunFolderError, match=words):
        run_study(small("seeds=[5]", "search.trials=0"), tmp_path / "study", resume=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(RunFolderError, match="expected a new or empty folder"):
        run_study(study, tmp_path / "photos")


@pytest.mark.long
def test_what_was_measured_for_another_study_is_measured_again(small: Make, tmp_path: Path) -> None:
    run_study(small("search.trials=0"), tmp_path, dry_run=True)
    plan_file(tmp_path).unlink()  # as where it was interrupted between two pairs
    more = small("search.trials=0", methods={"cwd": [{"loss": "channelwise_kl"}]})
    run_study(more, tmp_path, dry_run=True)
    assert set(read_measured(tmp_path)["student"].learners) == set(more.methods)


def test_what_is_measured_stands_whatever_the_engine(small: Make, tmp_path: Path) -> None:
    run_study(small("search.trials=0"), tmp_path, dry_run=True)
    before = read_measured(tmp_path)
    run_study(small("search.trials=0", "engine.processes=2"), tmp_path, dry_run=True)
    assert read_measured(tmp_path) == before


def test_no_folder_is_made_for_a_study_that_cannot_be_trained(small: Make, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a file at"):
        run_study(
            small("teacher.untrained=false", "teacher.weights=lost.safetensors"), tmp_path / "study"
        )
    assert not (tmp_path / "study").exists()


@pytest.mark.long
def test_an_interrupt_after_the_last_step_of_a_cohort_ends_the_study(
    small: Make, whole: Path, tmp_path: Path
) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.stage.startswith("training") and event.done == 4:
            os.kill(os.getpid(), signal.SIGINT)

    study = small("search.trials=0")
    with pytest.raises(KeyboardInterrupt, match="after step 4"):
        run_study(study, tmp_path / "stopped", tell=interrupt)
    assert not final_folder(tmp_path / "stopped", "student", 1, "plain").exists()
    run_study(study, tmp_path / "stopped", resume=True)
    assert findings(tmp_path / "stopped") == findings(whole)


def test_a_method_that_never_reached_the_end_of_a_trial_is_not_compared_untuned(
    small: Make, tmp_path: Path
) -> None:
    def trial(number: int, status: str, error: str | None) -> Trial:
        miou = None if error else 0.1
        return Trial("student", "kl", number, {}, 0, "h", status, miou, 2, 4, 1.0, error=error)  # type: ignore[arg-type]

    for one in (trial(0, "failed", "expected a finite loss"), trial(1, "pruned", None)):
        append_trial(tmp_path, one)
    found = choose(small(), tmp_path)["student"]
    assert found["kl"].error == "expected a finite loss"
    assert found["lad"].error == "no trial was trained to the end"


@pytest.mark.long
def test_a_study_whose_teacher_was_replaced_is_refused_and_moved_files_are_not(
    small: Make, tmp_path: Path
) -> None:
    section = small().pairs["student"].teacher
    file = tmp_path / "t.safetensors"

    def write_teacher(seed: int) -> None:
        save_network(file, build_network(section, classes=11, seed=seed), {})

    write_teacher(0)
    once = ("search.trials=0", "seeds=1", "teacher.untrained=false")
    study = small(*once, f"teacher.weights={file}")
    run_study(study, tmp_path / "study")
    run_study(
        small(*once, f"teacher.weights={tmp_path}/./t.safetensors"),
        tmp_path / "study",
        resume=True,
    )
    write_teacher(1)
    words = r"others \(SHA-256\): pairs\.student\.teacher\.weights [0-9a-f]{12} \(now"
    with pytest.raises(RunFolderError, match=words):
        run_study(study, tmp_path / "study", resume=True)


@pytest.mark.long
def test_a_run_that_is_given_up_stays_open_and_a_resume_trains_it(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small("search.trials=0", "seeds=1", "engine.retries=0")
    run_study(study, tmp_path / "whole")
    seed = Learner.seed

    def worker_killed(learner: Learner, step: int, part: int, fabric: Fabric) -> None:
        if learner.name == "kl" and step == 3 and (tmp_path / "study" / "final").exists():
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        seed(learner, step, part, fabric)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "seed", worker_killed)
        with pytest.raises(SegdistillError, match=r"1 of the final runs given up.*\n.*DataLoader"):
            run_study(study, tmp_path / "study")
    assert not list(tmp_path.rglob(FAILED))
    run_study(study, tmp_path / "study", resume=True)
    assert findings(tmp_path / "study") == findings(tmp_path / "whole")


@pytest.mark.long
def test_a_process_of_a_study_that_is_killed_is_replaced(small: Make, tmp_path: Path) -> None:
    words = ("search.trials=0", "training.steps=24")
    study = small(*words, "engine.processes=2")
    killed: list[int] = []

    def kill_one() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and not killed:
            for checkpoint in (tmp_path / "study").rglob("step-*.pt"):
                lock = checkpoint.parents[1] / LOCK
                with suppress(OSError, ValueError):
                    pid = json.loads(lock.read_text())["pid"]
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one)
    killer.start()
    run_study(study, tmp_path / "study")
    killer.join()
    assert killed
    run_study(small(*words), tmp_path / "whole")
    assert findings(tmp_path / "study") == findings(tmp_path / "whole")
