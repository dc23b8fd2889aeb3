"""What a Ray task does, in this process: a cohort trained away from the study comes back whole."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segdistill.config import StudyConfig
from segdistill.runs.result import read_result
from segdistill.runs.study import find_final_runs
from segdistill.studies.runner import run_study

Make = Callable[..., StudyConfig]


def in_this_process(train: Callable[..., Any]) -> SimpleNamespace:
    """Stand in for a Ray task: what it is given is run when its result is asked for."""
    return SimpleNamespace(remote=lambda *given: partial(train, *given))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the few names of Ray that the engine uses in its place."""
    node = SimpleNamespace(get_node_id=lambda: "0123456789")
    ray = SimpleNamespace(
        is_initialized=lambda: True,
        remote=lambda **_: in_this_process,
        wait=lambda tasks, num_returns: (tasks[:num_returns], tasks[num_returns:]),
        get=lambda task: task(),
        get_runtime_context=lambda: node,
        exceptions=SimpleNamespace(RayTaskError=ImportError, RayError=ImportError),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    monkeypatch.setattr("segdistill.studies.cluster.need_ray", lambda: None)
    monkeypatch.setattr("segdistill.studies.packages.need_ray", lambda: None)


@pytest.mark.long
def test_a_stage_before_training_is_run_away_and_comes_back(
    small: Make, tmp_path: Path, stand_in: None
) -> None:
    staged = {"distill": [{"loss": "knowledge_adaptation", "adapter_layers": 1}], "space": {}}
    words = ("search.trials=0", "seeds=1", "engine.name=ray")
    run_study(small(*words, methods={"ka": staged}), tmp_path)
    (ka,) = [run.folder for run in find_final_runs(tmp_path) if run.method == "ka"]
    assert (read_result(ka).prepare_seconds or 0.0) > 0
    assert "prepare" in (ka / "metrics.jsonl").read_text()
