"""A count of steps that a checkpoint holds."""

from pathlib import Path

import torch

from segdistill.losses.modules.steps import StepCount


def test_the_count_goes_through_a_checkpoint(tmp_path: Path) -> None:
    count, resumed = StepCount(), StepCount()
    count.value = 2**40
    torch.save(count.state_dict(), tmp_path / "state.pt")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert resumed.value == 2**40


def test_every_entry_of_the_state_is_a_tensor() -> None:
    assert all(isinstance(value, torch.Tensor) for value in StepCount().state_dict().values())
