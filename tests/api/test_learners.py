"""train and distill in Python: what was asked is recorded, and the run is completed."""

from dataclasses import replace
from pathlib import Path

import pytest

from segdistill.api import learners as module
from segdistill.api.distill import distill
from segdistill.api.train import train
from segdistill.config.loading import load_config
from segdistill.errors import ConfigError, OverwriteError, RunFolderError
from segdistill.runs.layout import ARGS, CONFUSION_PICTURE, COST, REPORT, RESULT
from segdistill.runs.result import read_result
from segdistill.runs.settings import Args, read_args, write_args
from segdistill.runs.student import student_file


def args(run: Path) -> Args:
    found = read_args(run)
    assert found is not None
    return found


def test_what_was_asked_is_recorded(tiny: Path, run: Path) -> None:
    paths = {"source": str(tiny), "out": str(run)}
    assert args(run) == Args("train", str(tiny), ("training.steps=3",), paths)


def test_paths_are_resolved_and_the_first_record_stays(
    tiny: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.safetensors").symlink_to(student_file(run))
    words = ["teacher.network=lraspp", "teacher.backbone=mobilenetv2_035", "teacher.width=16"]
    words.append("teacher.weights=t.safetensors")
    (made,) = distill(tiny, "out", overrides=words)
    recorded = args(made)
    assert recorded.verb == "distill"
    assert recorded.overrides == tuple(words)
    assert recorded.paths == {
        "source": str(tiny),
        "out": str(tmp_path / "out"),
        "teacher.weights": str(student_file(run)),
    }
    distill(tiny, "out", overrides=[*words, "data.workers=0"], resume=True)
    assert args(made) == recorded


def test_a_refused_folder_is_left_as_it_was(tiny: Path, tmp_path: Path, run: Path) -> None:
    (tmp_path / "cat.jpg").touch()
    with pytest.raises(RunFolderError, match=r"got one with cat\.jpg"):
        train(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cat.jpg"]
    before = args(run)
    (run / ARGS).unlink()
    with pytest.raises(RunFolderError, match="expected a run with the same settings"):
        train(tiny, run, overrides=["training.lr=0.5"])
    assert read_args(run) is None
    write_args(run, before)


def test_a_cohort_does_not_go_into_the_folder_of_a_run(tiny: Path, run: Path) -> None:
    before = {path.name for path in run.iterdir()}
    with pytest.raises(RunFolderError, match="new folder for 2 learners, got the folder of a run"):
        distill(tiny, run, overrides=["cohort={a: {}, b: {training: {lr: 0.1}}}"])
    assert {path.name for path in run.iterdir()} == before


def test_cost_is_that_of_the_image_as_the_network_met_it(run: Path) -> None:
    cost = read_result(run).cost
    assert cost is not None
    assert cost.cost_size == (24, 32)
    assert cost.gflops == 2 * (cost.gmacs or 0.0) > 0
    assert (cost.latency_ms or 0.0) > 0
    for name in ("report.html", "results.png", "confusion_matrix.png"):
        assert (run / name).is_file(), name


@pytest.mark.parametrize("lost", [(COST, REPORT), (REPORT,), (CONFUSION_PICTURE, REPORT)])
def test_what_a_kill_left_out_of_a_finished_run_is_done_by_resume(
    tiny: Path, run: Path, lost: tuple[str, ...]
) -> None:
    before = read_result(run)
    kept = {name: (run / name).stat().st_mtime_ns for name in {RESULT, COST} - {*lost}}
    for name in lost:
        (run / name).unlink()
    train(tiny, run, overrides=["training.steps=3"], resume=True)
    assert all((run / name).is_file() for name in lost)
    assert {name: (run / name).stat().st_mtime_ns for name in kept} == kept
    assert replace(read_result(run), cost=None) == replace(before, cost=None)


def test_a_loaded_config_stands_for_its_file(tiny: Path, tmp_path: Path) -> None:
    loaded = load_config(tiny, ["training.steps=1"])
    assert load_config(loaded) is loaded
    changed = load_config(loaded, ["training.lr=0.5"])
    assert changed.overrides == ("training.steps=1", "training.lr=0.5")
    (made,) = train(loaded, tmp_path / "run")
    assert args(made).source == str(tiny)
    assert args(made).overrides == ("training.steps=1",)


def test_learners_that_are_equal_without_a_teacher_are_trained_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def note(configs: dict[str, object], out: Path, **_settings: object) -> list[Path]:
        asked.append(list(configs))
        raise ConfigError("enough")

    monkeypatch.setattr(module, "run_cohort", note)
    cohort = "cohort={plain: {distill: []}, kl: {}, wide: {student: {width: 32}}}"
    for words in ([cohort], [cohort, "cohort.wide={}"]):
        with pytest.raises(ConfigError, match="enough"):
            train(tiny, "nowhere", overrides=words)
    assert asked == [["plain", "wide"], [""]]


def test_nothing_to_distil_is_refused(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="use segdistill train for a network without a teacher"):
        distill(tiny, "nowhere", overrides=["distill=[]"])


COHORT = "cohort={plain: {distill: []}, kl: {distill: [{loss: pixelwise_kl}]}}"


@pytest.mark.parametrize("names", [["cat.jpg"], ["images/cat.jpg"], ["report.html"]])
def test_a_cohort_goes_into_a_folder_of_runs_alone(
    tiny: Path, tmp_path: Path, names: list[str]
) -> None:
    out = tmp_path / "out"
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    with pytest.raises((RunFolderError, OverwriteError), match="choose another"):
        distill(tiny, out, overrides=[COHORT])
    files = [file for file in out.rglob("*") if file.is_file()]
    assert [file.read_text() for file in files] == ["mine"]
