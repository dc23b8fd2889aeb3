"""Checkpoints: whole, checked, the last two kept."""

import errno
import os
from pathlib import Path

import pytest
import torch

from segdistill.errors import CheckpointError, RunFolderError
from segdistill.runs import checkpoint
from segdistill.runs.checkpoint import (
    checkpoint_file,
    find_checkpoints,
    load_checkpoint,
    save_checkpoint,
)


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = {"learner": {"weight": torch.randn(3, 4), "step": 5}, "best": {"miou": 0.5}}
    loaded = load_checkpoint(save_checkpoint(tmp_path, 7, state))
    assert torch.equal(loaded["learner"]["weight"], state["learner"]["weight"])  # type: ignore[index]
    assert (loaded["step"], loaded["best"]) == (7, {"miou": 0.5})


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 1000):
        save_checkpoint(tmp_path / "new", step, {})
    assert list(find_checkpoints(tmp_path / "new")) == [1000, 10]
    assert find_checkpoints(tmp_path / "none") == {}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_broken_one_is_detected(tmp_path: Path, damage: str) -> None:
    file = save_checkpoint(tmp_path, 1, {"weight": torch.zeros(100)})
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:-10]
    elif damage == "flip":
        content[200] ^= 1
    else:
        content = bytearray()
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="expected an intact checkpoint"):
        load_checkpoint(file)


def test_a_full_disk_leaves_the_old_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, 1, {"a": 1})
    save_checkpoint(tmp_path, 2, {"a": 2})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 3, {"a": 3})
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["step-00000001.pt", "step-00000002.pt"]
    assert load_checkpoint(checkpoint_file(tmp_path, 2))["a"] == 2


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path: Path) -> None:
    file = save_checkpoint(tmp_path, 1, {"path": tmp_path})
    with pytest.raises(
        CheckpointError, match="tensors and plain values, got one with other objects"
    ):
        load_checkpoint(file)


def test_one_of_a_later_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    file = save_checkpoint(tmp_path, 1, {})
    with pytest.raises(
        RunFolderError, match=r"step-00000001.pt: expected format 1 or older, got 99"
    ):
        load_checkpoint(file)
