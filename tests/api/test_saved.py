"""Students read back from what a run wrote."""

from pathlib import Path

import pytest
import torch

from segdistill.api.saved import load_run, load_student, pick_device
from segdistill.data.scenes.canvas import CLASSES
from segdistill.errors import CheckpointError, ConfigError
from segdistill.models import build_network, save_network
from segdistill.runs.student import student_file


def test_a_student_is_rebuilt_from_its_file_alone(run: Path) -> None:
    student, loaded = load_student(student_file(run)), load_run(run)
    assert student.classes == loaded.classes == CLASSES
    assert not student.network.training
    assert loaded.config.student.settings()["backbone"] == "mobilenetv2_035"
    image = torch.rand(1, 3, 48, 64)
    assert torch.equal(student.network(image).logits, loaded.network(image).logits)


def test_weights_that_no_run_wrote_are_refused(tmp_path: Path) -> None:
    network = build_network({"network": "espnet_c"}, classes=3, seed=0)
    save_network(tmp_path / "own.safetensors", network, {})
    with pytest.raises(CheckpointError, match=r"use the model\.safetensors of a run"):
        load_student(tmp_path / "own.safetensors")


def test_a_device_is_picked_by_word() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ConfigError, match="expected auto, cpu or cuda, got 'gpu'"):
        pick_device("gpu")
