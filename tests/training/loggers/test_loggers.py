"""Loggers: asked for before a folder is made, and given the numbers of metrics.jsonl."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from segdistill.catalogue.loggers import LOGGERS
from segdistill.config import RunConfig
from segdistill.errors import ConfigError
from segdistill.training.dry import try_cohort
from segdistill.training.loggers.build import build_loggers
from segdistill.training.run import run_cohort
from segdistill.training.runlog import RunLog

Make = Callable[..., RunConfig]


def write(log: RunLog) -> None:
    log.train(2, {"task": 1.0, "x": 0.5}, lr=0.1, images_per_second=2.0, seconds=3.0)
    log.evaluation(2, "val", miou=0.25, pixel_accuracy=0.75)
    log.close()


def pretend(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> ModuleType:
    """Put a module of this name where imports find it."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.mark.parametrize("name", sorted(LOGGERS))
def test_a_package_that_is_missing_is_named_before_a_folder_is_made(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("segdistill.training.loggers.build.find_spec", lambda package: None)
    said = rf"training\.{name}: expected the package {name}, got none; pip install 'segdistill\["
    with pytest.raises(ConfigError, match=said):
        run_cohort({"": small(f"training.{name}=true")}, tmp_path / "run")
    with pytest.raises(ConfigError, match=said):
        try_cohort({"": small(f"training.{name}=true")})
    assert not (tmp_path / "run").exists()


def test_none_is_built_unless_asked(small: Make, tmp_path: Path) -> None:
    assert build_loggers(tmp_path, small()) == []


def test_tensorboard_files_lie_in_the_run_folder(small: Make, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = small("training.tensorboard=true")
    write(RunLog(tmp_path, loggers=build_loggers(tmp_path, config)))
    (file,) = (tmp_path / "tensorboard").rglob("events.out.tfevents*")
    events = EventAccumulator(str(file)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("val/miou")] == [(2, 0.25)]
    assert [(event.step, event.value) for event in events.Scalars("loss/x")] == [(2, 0.5)]


class WandbRun(SimpleNamespace):
    def log(self, values: dict[str, float], step: int) -> None:
        self.lines.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.ended = exit_code


def test_wandb_gets_the_numbers_and_the_settings(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = WandbRun(lines=[], ended=None)
    asked: dict[str, Any] = {}

    def init(**given: Any) -> WandbRun:
        asked.update(given)
        return run

    pretend(monkeypatch, "wandb", init=init)
    config = small("training.wandb=true")
    write(RunLog(tmp_path, loggers=build_loggers(tmp_path, config)))
    assert asked["dir"] == str(tmp_path)
    assert asked["resume"] == "auto"
    assert asked["config"] == config.tree()
    assert run.lines[0] == (2, {"loss": 1.5, "lr": 0.1, "loss/task": 1.0, "loss/x": 0.5})
    assert run.lines[1] == (2, {"val/miou": 0.25, "val/pixel_accuracy": 0.75})
    assert run.ended == 0


class MlflowClient:
    """As much of a tracking server as the logger uses, with one store for all clients."""

    runs: list[dict[str, Any]]

    def __init__(self, tracking_uri: str) -> None:
        self.uri = tracking_uri

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return name

    def search_runs(self, experiments: list[str], filter_string: str) -> list[Any]:
        _, tag, _, place, _ = filter_string.replace("'", "`").split("`")
        return [_run(each) for each in self.runs if each["tags"].get(tag) == place]

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        self.runs.append({"id": str(len(self.runs)), "tags": tags, "lines": [], "params": {}})
        return _run(self.runs[-1])

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.runs[int(run)]["lines"].append((name, value, step))

    def log_param(self, run: str, name: str, value: str) -> None:
        self.runs[int(run)]["params"][name] = value

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[int(run)]["status"] = status


def _run(record: dict[str, Any]) -> Any:
    return SimpleNamespace(info=SimpleNamespace(run_id=record["id"]))


def test_mlflow_gets_the_numbers_and_a_resumed_run_goes_on(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MlflowClient.runs = []
    pretend(monkeypatch, "mlflow")
    pretend(monkeypatch, "mlflow.tracking", MlflowClient=MlflowClient)
    config = small("training.mlflow=true")
    for _ in range(2):
        write(RunLog(tmp_path, loggers=build_loggers(tmp_path, config)))
    (run,) = MlflowClient.runs
    assert ("loss/x", 0.5, 2) in run["lines"]
    assert ("val/miou", 0.25, 2) in run["lines"]
    assert run["params"]["training"].startswith("{'steps': 6")
    assert run["status"] == "FINISHED"
