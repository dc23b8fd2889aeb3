"""What a device cannot do is said or refused before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segdistill.config import RunConfig
from segdistill.errors import ConfigError
from segdistill.training import devices as module
from segdistill.training.devices import EMULATED
from segdistill.training.events import Event, Note
from segdistill.training.run import run_cohort

Make = Callable[..., RunConfig]


@pytest.mark.parametrize(
    ("precision", "has_it", "said"),
    [("bf16-mixed", False, True), ("bf16-mixed", True, False), ("32-true", False, False)],
)
def test_emulated_bfloat16_is_said(
    precision: str,
    has_it: bool,
    said: bool,
    small: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "computes_bfloat16", lambda: has_it)
    config = small(f"training.precision={precision}", "training.steps=1", distill=[])
    told: list[Event] = []
    run_cohort({"": config}, tmp_path / "run", tell=told.append)
    assert (Note(EMULATED) in told) is said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_graphs_without_a_gpu_are_refused_before_a_folder_is_made(
    small: Make, tmp_path: Path
) -> None:
    config = small("training.device=auto", "training.compile=graphs")
    with pytest.raises(
        ConfigError, match=r"training\.compile: expected a GPU for graphs, got none"
    ):
        run_cohort({"": config}, tmp_path / "run")
    assert not (tmp_path / "run").exists()
