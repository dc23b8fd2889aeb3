"""check: everything is tried, nothing is written; --data describes the data."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from segdistill.models import build_network, save_network

from .conftest import Cli, folder_config


def test_all_is_tried_and_nothing_written(cli: Cli, tmp_path: Path) -> None:
    done = cli("check", "tiny.yaml", "training.lr=0.1")
    assert done.code == 0
    assert done.out == "all checks passed; next: segdistill distill tiny.yaml training.lr=0.1\n"
    for said in (
        "6 training and 3 scored images read",
        "the classes are sky, building, road",
        "teacher is fed RGB images normalised: ",
        "kl is fed RGB images normalised: ",
        "% on 3 images of val, where guessing gets ",
        "kl: first losses: task",
        "one step took",
        "scoring works on images of 48x64",
    ):
        assert said in done.err, said
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_teacher_near_chance_stops_the_check_unless_allowed(cli: Cli, tmp_path: Path) -> None:
    settings = {"network": "fcn", "backbone": "resnet10t", "output_stride": 16, "width": 16}
    network = build_network(settings, classes=11, seed=0)
    torch.nn.init.zeros_(network.classifier.weight)  # one class everywhere
    save_network(tmp_path / "t.safetensors", network, {})
    words = ["check", "tiny.yaml", "teacher.untrained=false", "teacher.weights=t.safetensors"]
    done = cli(*words)
    assert done.code == 2
    assert "teacher: expected one that knows the dataset, got mIoU" in done.err
    assert "continue with --allow-weak-teacher" in done.err
    assert cli(*words, "--allow-weak-teacher").code == 0


def test_a_tap_that_does_not_exist_is_found(cli: Cli) -> None:
    done = cli("check", "tiny.yaml", "cohort.kl.distill.0.tap=backbon")
    assert (done.code, done.out) == (1, "")
    assert "teacher: tap 'backbon'" in done.err
    assert "did you mean 'backbone'?" in done.err


def test_a_label_that_is_no_class_is_found(cli: Cli, folder: Path) -> None:
    wrong = np.zeros((40, 56), dtype=np.uint8)
    wrong[3, :4] = 7
    Image.fromarray(wrong).save(folder / "val" / "masks" / "b.png")
    done = cli("check", "tiny.yaml", *folder_config(folder))
    assert done.code == 1
    assert "b.png: expected class ids 0 to 1 and 255, got 7 (4 pixels)" in done.err


def test_data_are_described(cli: Cli, folder: Path, tmp_path: Path) -> None:
    same = (folder / "train" / "images" / "a.png").read_bytes()
    (folder / "val" / "images" / "a.png").write_bytes(same)
    words = folder_config(folder)
    done = cli("check", "tiny.yaml", *words, "--data", "--sheet", "sheet.png")
    assert done.code == 0
    for part in (
        "train: 2 images (2 of 40×56)",
        "% of pixels, in 2 images",
        "warning: same image in more than one split: train/a, val/a",
        "0 faults, 1 warnings",
        "sheet.png written",
    ):
        assert part in done.out, part
    assert Image.open(tmp_path / "sheet.png").size[0] > 100
    assert "reading val: 2/2" in done.err


def test_a_sheet_never_replaces_an_image_or_a_foreign_picture(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    image = folder / "train" / "images" / "a.png"
    before = image.read_bytes()
    words = [*folder_config(folder), "--data", "--sheet"]
    done = cli("check", "tiny.yaml", *words, image)
    assert (done.code, image.read_bytes()) == (2, before)
    assert f"got {image}; choose another place" in done.err
    for _ in range(2):
        assert cli("check", "tiny.yaml", *words, "sheet.png").code == 0
    (tmp_path / "sheet.png").write_bytes(b"a photo")
    assert cli("check", "tiny.yaml", *words, "sheet.png").code == 2
    assert (tmp_path / "sheet.png").read_bytes() == b"a photo"


def test_data_that_training_would_stop_at_exit_1(cli: Cli, folder: Path) -> None:
    (folder / "train" / "images" / "a.png").write_bytes(b"")
    done = cli("check", "tiny.yaml", *folder_config(folder), "--data", "--json")
    assert done.code == 1
    report = json.loads(done.out)
    (fault,) = report["faults"]
    assert "a.png" in fault
    assert report["splits"]["train"]["images"] == 2


def test_options_of_the_data_need_data(cli: Cli) -> None:
    done = cli("check", "tiny.yaml", "--json")
    assert done.code == 2
    assert "expected --data together with --sheet or --json; add it" in done.err
