"""convert and init: from an export to a trained student, and what they print."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Cli


@pytest.fixture
def roboflow(tmp_path: Path) -> Path:
    """Return a Roboflow export of three training and two validation images."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("valid", 2)):
        folder = tmp_path / "export" / split
        folder.mkdir(parents=True)
        for name in range(count):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / f"{name}.jpg")
            mask = rng.integers(0, 2, (48, 64), dtype=np.uint8)
            Image.fromarray(mask).save(folder / f"{name}_mask.png")
        (folder / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, car\n2, bus\n")
    return tmp_path / "export"


@pytest.mark.long
def test_from_an_export_to_a_trained_student(cli: Cli, roboflow: Path) -> None:
    done = cli("convert", roboflow, "--out", "own")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "format roboflow: train/_classes.csv beside *_mask.png"
    assert "own: 3 train, 2 val images" in lines
    assert "never used: bus; remove them if they are not classes" in lines
    assert lines[-1] == "next: segdistill init own"
    done = cli("init", "own", "--out", "own.yaml")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "next: segdistill check own.yaml teacher.untrained=true"
    small = ["student.width=16", "training.device=cpu", "evaluation.pictures=0"]
    teacher = ["teacher.untrained=true", "teacher.backbone=resnet10t", "teacher.width=16"]
    done = cli("check", "own.yaml", *small, *teacher)
    assert done.code == 0
    assert "all checks passed; next: segdistill distill own.yaml" in done.out
    done = cli("train", "own.yaml", *small, "training.steps=2", "--out", "run")
    assert done.code == 0
    assert Path("run/model.safetensors").is_file()


def test_faults_are_named_and_the_exit_code_is_1(cli: Cli, roboflow: Path) -> None:
    (roboflow / "train/0.jpg").write_bytes(b"")
    done = cli("convert", roboflow, "--out", "own")
    assert done.code == 1
    assert "train/0.jpg: expected an image file, got 0 bytes" in done.out
    assert "1 faults; everything else was written" in done.out
    assert Path("own/images/train/1.jpg").is_file()
    done = cli("convert", roboflow, "--out", "own", "--json")
    assert done.code == 1
    content = json.loads(done.out)
    assert content["format"] == "roboflow"
    assert len(content["broken"]) == 1


def test_wrong_use_is_answered(cli: Cli, roboflow: Path) -> None:
    for words, code, message in (
        (["convert", roboflow, "--out", "own", "--from", "robflow"], 2, "did you mean 'roboflow'"),
        (["convert", roboflow, "--out", roboflow / "x"], 2, "expected a folder outside of"),
        (["convert", "nothing", "--out", "own"], 1, "expected a folder, got nothing"),
        (["init", roboflow], 1, "segdistill convert"),
        (["init", "nothing"], 1, "expected a folder, got nothing"),
    ):
        done = cli(*words)
        assert (done.code, done.out) == (code, "")
        assert message in done.err
    assert not Path("own").exists()
    assert not Path("config.yaml").exists()


def test_formats_are_listed_with_their_files(cli: Cli) -> None:
    done = cli("list", "conversions", "roboflow", "--verbose")
    assert done.code == 0
    assert "files: train/*.jpg train/*_mask.png train/_classes.csv" in done.out
