"""One cohort wherever it was sent: failures written down, folders to itself."""

import errno
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from segdistill.config import StudyConfig
from segdistill.errors import DataError, RunFolderError
from segdistill.runs.layout import FAILED
from segdistill.runs.result import find_end, has_result, read_failure
from segdistill.runs.settings import has_settings
from segdistill.runs.student import student_file
from segdistill.studies.cohorts import Job
from segdistill.studies.runs import final_config
from segdistill.studies.work import work
from segdistill.training.learner import Learner

Make = Callable[..., StudyConfig]


def job(study: StudyConfig, *methods: str) -> Job:
    configs = {method: final_config(study, "student", method, {}, 0) for method in methods}
    return Job("final", "student", 0, configs)


def test_what_stops_a_whole_cohort_is_written_into_each_of_its_runs(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*given: object, **named: object) -> None:
        raise ValueError("student: expected a tap 'deepest', got none")

    monkeypatch.setattr("segdistill.training.run.build_cohort", refused)
    assert work(job(small(), "plain", "kl"), tmp_path) == {}
    for method in ("plain", "kl"):
        folder = tmp_path / "final" / "student" / "seed-0" / method
        assert "expected a tap" in read_failure(folder).error
        assert has_settings(folder)


def test_another_run_in_the_folder_is_refused_and_not_taken_for_a_failure(
    small: Make, tmp_path: Path
) -> None:
    work(job(small(), "plain"), tmp_path)
    with pytest.raises(RunFolderError, match="expected a run with the same settings"):
        work(job(small("training.lr=0.5"), "plain"), tmp_path)


def test_threads_are_given_back(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    work(job(small(), "plain"), tmp_path, threads=3)
    assert asked[0] == 3
    assert asked[-1] == torch.get_num_threads()


def test_a_folder_in_which_an_orphan_works_is_waited_for(small: Make, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    one = job(small(), "plain")
    (tmp_path / one.folder).mkdir(parents=True)
    waiting = threading.Thread(target=work, args=(one, tmp_path))
    with (tmp_path / one.folder / ".plain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting.start()
        time.sleep(1)
        assert not (tmp_path / one.folder / "plain").exists()
        # Another cohort of the seed, as where memory or budgets split it, does not wait.
        work(job(small(), "kl"), tmp_path)
        assert has_result(tmp_path / one.folder / "kl")
    waiting.join()
    assert has_result(tmp_path / one.folder / "plain")


@pytest.mark.long
def test_a_run_that_stops_its_cohort_takes_no_other_with_it(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = Learner.seed

    def out_of_memory(learner: Learner, step: int, part: int, fabric: Fabric) -> None:
        if learner.name == "lad" and step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seed(learner, step, part, fabric)

    monkeypatch.setattr(Learner, "seed", out_of_memory)
    one = job(small(), "plain", "kl", "lad")
    left = work(one, tmp_path)
    folder = tmp_path / one.folder
    assert left == {"lad": "OutOfMemoryError: CUDA out of memory"}
    assert find_end(folder / "lad") is None
    together = {name: student_file(folder / name).read_bytes() for name in ("plain", "kl")}
    work(job(small(), "plain", "kl"), tmp_path / "without")
    for name, weights in together.items():
        assert student_file(tmp_path / "without" / one.folder / name).read_bytes() == weights
    monkeypatch.setattr(Learner, "seed", seed)
    assert work(one, tmp_path) == {}
    assert has_result(folder / "lad")


@pytest.mark.long
def test_what_no_method_is_to_blame_for_is_tried_again(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed, failures = Learner.seed, 2

    def full_at_times(learner: Learner, step: int, part: int, fabric: Fabric) -> None:
        nonlocal failures
        if step == 3 and failures:
            failures -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        seed(learner, step, part, fabric)

    work(job(small(), "plain"), tmp_path / "whole")
    monkeypatch.setattr(Learner, "seed", full_at_times)
    monkeypatch.setattr("segdistill.studies.work.PAUSE_SECONDS", 0.0)
    one = job(small(), "plain")
    assert work(one, tmp_path / "failing", retries=2) == {}
    files = [student_file(tmp_path / name / one.folder / "plain") for name in ("whole", "failing")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_cohort_travels_to_other_processes(small: Make) -> None:
    one = job(small(), "plain", "kl")
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert again.configs["kl"].hash() == one.configs["kl"].hash()


def test_data_that_cannot_be_read_are_no_failure_of_a_method(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*given: object, **named: object) -> None:
        raise DataError("a.png: expected an image, got none")

    monkeypatch.setattr("segdistill.training.run.build_data", lost)
    with pytest.raises(DataError, match=r"a\.png"):
        work(job(small(), "plain", "kl"), tmp_path)
    assert not [*tmp_path.rglob(FAILED)]
