"""Inspection: counts and moments against numpy, every broken pair listed, leakage found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.carving import Subset, carve
from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.folder import folder
from segdistill.data.inspection import find_faults, inspect_data, verify
from segdistill.errors import DataError

OPTIONS = {"dataset": "folder"}


def test_counts_pixels_sizes_and_moments(tree: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    report = inspect_data(
        {**OPTIONS, "root": tree}, ["train"], progress=lambda *now: seen.append(now)
    )
    found = report.splits["train"]
    data = folder(split="train", root=tree)
    images = np.stack([data[i].image for i in range(5)]).reshape(-1, 3) / 255
    masks = np.stack([data[i].mask for i in range(5)])
    assert found.images == 5
    assert found.sizes == {"20×30": 5}
    assert found.pixels == {
        name: int((masks == i).sum()) for i, name in enumerate(data.classes.names)
    }
    assert found.ignored_pixels == int((masks == 255).sum())
    assert found.images_with == {"ground": 5, "big tree": 5, "sky": 5}
    assert np.allclose(found.mean, images.mean(0), atol=1e-4)
    assert np.allclose(found.std, images.std(0), atol=1e-4)
    assert (report.faults, report.duplicates, report.warnings) == ([], [], [])
    assert seen[-1] == ("train", 5, 5)


def test_lists_all_faults_and_goes_on(tree: Path) -> None:
    (tree / "train/images/0.png").write_bytes(b"no image")
    Image.fromarray(np.full((20, 30), 77, np.uint8)).save(tree / "train/masks/3.png")
    report = inspect_data({**OPTIONS, "root": tree}, ["train", "val"])
    assert [fault.split(":")[0].rpartition("/")[2] for fault in report.faults[:2]] == [
        "0.png",
        "3.png",
    ]
    assert "got 77 (600 pixels)" in report.faults[1]
    assert "expected a split val" in report.faults[2]
    assert report.splits["train"].images == 5
    assert sum(report.splits["train"].sizes.values()) == 3


def test_finds_the_same_image_in_two_splits_though_the_files_differ(tree: Path) -> None:
    shutil.copytree(tree / "train", tree / "val")
    for index in range(1, 5):
        array = np.full((20, 30, 3), index, np.uint8)
        Image.fromarray(array).save(tree / f"val/images/{index}.png")
    with Image.open(tree / "val/images/0.png") as picture:
        picture.save(tree / "val/images/0.png", compress_level=0)
    report = inspect_data({**OPTIONS, "root": tree}, ["train", "val"])
    assert report.leaks == report.duplicates == [["train/0", "val/0"]]
    assert report.warnings == ["same image in more than one split: train/0, val/0"]


def test_says_which_classes_are_absent_and_can_be_written_as_json(tree: Path) -> None:
    for index in range(5):
        Image.fromarray(np.zeros((20, 30), np.uint8)).save(tree / f"train/masks/{index}.png")
    report = inspect_data({**OPTIONS, "root": tree}, ["train"])
    assert report.splits["train"].absent_classes == ["big tree", "sky"]
    assert "train: no pixel of big tree, sky" in report.warnings
    plain = json.loads(json.dumps(report.as_json()))
    assert plain["splits"]["train"]["pixels"]["ground"] == 3000


def test_images_without_masks_are_a_fault_where_nothing_could_be_learnt_or_scored(
    tree: Path,
) -> None:
    rows = ["train/images/0.png,,train", "train/images/1.png,,val"]
    rows += ["train/images/2.png,train/masks/2.png,val"]
    (tree / "data.csv").write_text("\n".join(["image,mask,split", *rows]))
    faults = inspect_data({"dataset": "list", "root": tree}, ["train", "val"]).faults
    assert [fault.split(";")[0] for fault in faults] == [
        "train: expected masks, got none for 1 of 1 images",
        "val: expected masks, got none for 1 of 2 images",
    ]
    (tree / "data.csv").write_text("\n".join(["image,mask,split", rows[2], *rows[1:]]))
    (tree / "data.csv").write_text((tree / "data.csv").read_text().replace("val", "train"))
    assert inspect_data({"dataset": "list", "root": tree}, ["train"]).faults == []


def test_looks_into_a_split_that_is_opened_for_it(tree: Path) -> None:
    whole = folder(split="train", root=tree)

    def open_split(split: str) -> Subset:
        return carve(whole, 0.4, "held" if split == "holdout" else "kept")

    report = inspect_data({**OPTIONS, "root": tree}, ["train", "holdout"], open_split=open_split)
    assert [found.images for found in report.splits.values()] == [3, 2]
    assert report.faults == []


def test_says_nothing_about_a_sound_dataset(dataset: FileDataset) -> None:
    assert find_faults(dataset) == []
    verify(dataset)


def test_lists_every_broken_pair_with_its_reason(tree: Path) -> None:
    (tree / "train/images/0.png").write_bytes(b"")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tree / "train/masks/2.png")
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(tree / "train/masks/4.png")
    faults = find_faults(folder(split="train", root=tree))
    assert len(faults) == 3
    for fault, words in zip(
        faults,
        ("images/0.png: expected an image file, got 0 bytes", "got 5×5", "got 9 (600 pixels)"),
        strict=True,
    ):
        assert words in fault
    with pytest.raises(DataError, match=r"expected 5 sound pairs, got 3 broken(.|\n)*0\.png"):
        verify(folder(split="train", root=tree))
