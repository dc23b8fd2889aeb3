"""Run folders: new ones by number, old ones found by folder or file."""

from pathlib import Path

import pytest

from segdistill.api.folders import choose_folder
from segdistill.errors import ConfigError, RunFolderError
from segdistill.runs.settings import write_settings
from segdistill.runs.student import best_file, student_file
from segdistill.training.finished_run import find_run


def test_a_new_run_gets_the_number_after_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose_folder("camvid/teacher", resume=False) == Path("runs/camvid-teacher-1")
    for name in ("camvid-teacher-9", "camvid-teacher-9b", "own-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert choose_folder("camvid/teacher", resume=False) == Path("runs/camvid-teacher-10")
    assert choose_folder("camvid/teacher", resume=True) == Path("runs/camvid-teacher-10")
    assert choose_folder("configs/own.yaml", resume=True) == Path("runs/own-3")
    assert choose_folder("configs/own.yaml", "there", resume=True) == Path("there")
    with pytest.raises(RunFolderError, match="expected a run to resume, got none"):
        choose_folder("camvid/students", resume=True)


def test_a_run_is_found_by_its_folder_or_a_weight_file(run: Path) -> None:
    assert find_run(run).weights == student_file(run)
    assert find_run(str(student_file(run))) == find_run(run)
    best = best_file(run)
    best.touch()
    assert (find_run(best).folder, find_run(best).weights) == (run, best)


def test_what_is_no_finished_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=f"did you mean {run}"):
        find_run(run.parent)
    write_settings(tmp_path, {})
    with pytest.raises(
        RunFolderError, match="got one that is not finished; continue with --resume"
    ):
        find_run(tmp_path)
    with pytest.raises(RunFolderError, match="got none"):
        find_run(tmp_path / "nothing.safetensors")


def test_a_runs_config_takes_overrides_but_for_the_student(run: Path) -> None:
    files = find_run(run)
    assert files.config().training.steps == 3
    assert files.config(["data.val_images=2"]).data.settings()["val_images"] == 2
    with pytest.raises(ConfigError, match="one of the student, which is already trained"):
        files.config(["student.backbone=resnet10t"])
