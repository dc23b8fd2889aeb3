"""train and distill in Python: what was asked is recorded, and the run is completed."""

from pathlib import Path

import pytest
import yaml

from segdistill.api import training_runs as module
from segdistill.api.training_runs import distill, train
from segdistill.errors import ConfigError, OverwriteError, RunFolderError
from segdistill.files import read_json


def args(run: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((run / "args.yaml").read_text())
    return found


def test_what_was_asked_is_recorded(tiny: Path, run: Path) -> None:
    assert args(run) == {
        "verb": "train",
        "source": str(tiny),
        "overrides": ["training.steps=3"],
        "paths": {"source": str(tiny), "out": str(run)},
    }


def test_paths_are_resolved_and_the_first_record_stays(
    tiny: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.safetensors").symlink_to(run / "model.safetensors")
    words = ["teacher.network=lraspp", "teacher.backbone=mobilenetv2_035", "teacher.width=16"]
    words.append("teacher.weights=t.safetensors")
    (made,) = distill(tiny, "out", overrides=words)
    recorded = args(made)
    assert recorded["verb"] == "distill"
    assert recorded["overrides"] == words
    assert recorded["paths"] == {
        "source": str(tiny),
        "out": str(tmp_path / "out"),
        "teacher.weights": str(run / "model.safetensors"),
    }
    distill(tiny, "out", overrides=[*words, "data.workers=0"], resume=True)
    assert args(made) == recorded


def test_a_refused_folder_is_left_as_it_was(tiny: Path, tmp_path: Path, run: Path) -> None:
    (tmp_path / "cat.jpg").touch()
    with pytest.raises(RunFolderError, match=r"got cat\.jpg in it"):
        train(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cat.jpg"]
    before = (run / "args.yaml").read_bytes()
    (run / "args.yaml").unlink()
    with pytest.raises(RunFolderError, match="got another run"):
        train(tiny, run, overrides=["training.lr=0.5"])
    assert not (run / "args.yaml").exists()
    (run / "args.yaml").write_bytes(before)


def test_a_cohort_does_not_go_into_the_folder_of_a_run(tiny: Path, run: Path) -> None:
    before = {path.name for path in run.iterdir()}
    with pytest.raises(RunFolderError, match="new folder for 2 learners, got one that holds a run"):
        distill(tiny, run, overrides=["cohort={a: {}, b: {training: {lr: 0.1}}}"])
    assert {path.name for path in run.iterdir()} == before


def test_cost_is_that_of_the_image_as_the_network_met_it(run: Path) -> None:
    result = read_json(run / "result.json")
    assert result["cost_size"] == [24, 32]
    assert result["gflops"] == 2 * result["gmacs"] > 0
    assert result["latency_ms"] > 0
    for name in ("report.html", "results.png", "confusion_matrix.png"):
        assert (run / name).is_file(), name


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
