"""Arithmetic that the processor has to emulate is said, and the demo leaves it alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from segdistill.config import RunConfig
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
