"""Students read back from what a run wrote."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from documented import PAGES, blocks
from segdistill.api.load import load
from segdistill.api.predict import predict
from segdistill.api.prediction import Prediction
from segdistill.data.formats.scenes import scenes
from segdistill.data.pictures import colorize
from segdistill.data.scenes.canvas import CLASSES
from segdistill.errors import CheckpointError, RunFolderError
from segdistill.models import build_network, save_network
from segdistill.runs.student import student_file
from segdistill.training.trained_student import load_student


def test_a_student_is_rebuilt_from_its_file_alone(run: Path) -> None:
    student, loaded = load_student(student_file(run)), load(run)
    assert student.classes == loaded.classes == CLASSES
    assert not student.network.training
    assert loaded.config is not None
    assert loaded.config.student.settings()["backbone"] == "mobilenetv2_035"
    image = torch.rand(1, 3, 48, 64)
    assert torch.equal(student.network(image).logits, loaded.network(image).logits)


def test_the_lines_of_the_readme_load_and_predict(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = (block for block in blocks(PAGES[0], "python") if "segdistill.load(" in block)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "runs/students/kl")
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save("photo.jpg")
    given: dict[str, Any] = {}
    exec(block, given)
    assert given["prediction"].mask.shape == (48, 64)


def test_weights_that_no_run_wrote_are_refused(tmp_path: Path) -> None:
    network = build_network({"network": "espnet_c"}, classes=3, seed=0)
    save_network(tmp_path / "own.safetensors", network, {})
    with pytest.raises(CheckpointError, match=r"use the model\.safetensors of a run"):
        load_student(tmp_path / "own.safetensors")


def test_a_prediction_is_the_same_for_a_file_an_array_a_picture_and_a_tensor(
    run: Path, tmp_path: Path
) -> None:
    image = scenes(split="val", size=(48, 64), val_images=1)[0].image
    Image.fromarray(image).save(tmp_path / "a.png")
    student = load(run)
    first = student.predict(tmp_path / "a.png")
    assert first.mask.shape == (48, 64)
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)
    for given in (str(tmp_path / "a.png"), image, Image.fromarray(image), tensor, tensor / 255):
        assert np.array_equal(student.predict(given).mask, first.mask)
    (written,) = predict(run, tmp_path / "a.png", tmp_path / "masks")
    assert np.array_equal(np.asarray(Image.open(written)), colorize(first.mask, CLASSES))


def test_a_prediction_has_names_shares_and_a_picture(run: Path) -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    prediction = Prediction(np.array([[0, 1], [1, 1]]), image, CLASSES)
    assert prediction.names == CLASSES.names
    shares = prediction.shares()
    assert list(shares) == list(CLASSES.names)
    assert [shares[name] for name in CLASSES.names[:3]] == [0.25, 0.75, 0.0]
    half = [(part + 1) // 2 for part in CLASSES.colors[0]]
    assert prediction.overlay()[0, 0].tolist() == half


def test_weights_by_themselves_predict_without_a_config(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    shutil.copy(student_file(run), alone)
    student = load(alone)
    assert student.predict(np.zeros((48, 64, 3))).mask.dtype == np.uint8
    with pytest.raises(RunFolderError, match=r"resolved\.yaml"):
        load(alone, overrides=["training.seed=1"])
