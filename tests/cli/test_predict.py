"""predict: pictures and server files, from images or from a split."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from segdistill.data.scenes.canvas import CLASSES
from segdistill.runs.student import student_file

from .conftest import Cli, Trained


def photos(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for seed, name in enumerate(names):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


def test_images_and_folders_give_one_picture_each(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "photos", "a.png", "b.JPG")
    (folder / "notes.txt").touch()
    done = cli("predict", trained.run, folder, "--out", "masks")
    assert (done.code, done.out) == (0, "2 predictions written to masks\n")
    for name in ("a", "b"):
        picture = np.asarray(Image.open(tmp_path / "masks" / f"{name}.png"))
        assert picture.shape == (40, 56, 3)
        assert {tuple(color) for color in picture.reshape(-1, 3).tolist()} <= set(CLASSES.colors)


def test_a_split_is_predicted_with_settings_of_the_run(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    words = ["data.val_images=2", "--split", "val", "--format", "overlay", "--json"]
    done = cli("predict", trained.run, *words)
    written = [Path(file) for file in json.loads(done.out)]
    assert [file.suffix for file in written] == [".jpg", ".jpg"]
    assert all((tmp_path / file).is_file() for file in written)
    assert "predicting: 2/2" in done.err


def test_weights_alone_can_predict(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "a.png")
    weights = tmp_path / "alone" / "shipped.safetensors"
    weights.parent.mkdir()
    shutil.copy(student_file(trained.run), weights)
    assert cli("predict", weights, folder, "--out", "one").code == 0
    cli("predict", trained.run, folder, "--out", "two")
    assert (tmp_path / "one/a.png").read_bytes() == (tmp_path / "two/a.png").read_bytes()
    refused = cli("predict", weights, "--split", "val")
    assert refused.code == 2
    assert "resolved.yaml" in refused.err


def test_refuses_what_it_cannot_predict_on(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "a.png", "a.jpg")
    for words, code, message in (
        ([], 2, "expected images or --split, one of them"),
        ([folder, "--split", "val"], 2, "expected images or --split, one of them"),
        ([folder], 1, "expected different names, got a twice"),
        ([tmp_path / "none"], 1, "expected an image or a folder at"),
        ([tmp_path], 1, "expected images, got none in"),
        ([folder / "a.png", "--format", "pdf"], 2, "expected a format out of cityscapes, ade20k"),
        ([folder / "a.png", "--format", "voc"], 1, "expected 21 classes for the format voc"),
    ):
        done = cli("predict", trained.run, *words)
        assert (done.code, done.out) == (code, "")
        assert message in done.err
