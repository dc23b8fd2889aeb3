"""ADE20K: the challenge's tree, 0 ignored, 150 classes from 1."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.data.formats.ade20k import CLASSES, ade20k
from segdistill.errors import DataError


@pytest.fixture
def root(tmp_path: Path, write: type) -> Path:
    mask = np.arange(151, dtype=np.uint8)[None]
    for folder, name in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        write(tmp_path / f"images/{folder}/{name}.jpg", np.zeros((1, 151, 3), np.uint8))
        write(tmp_path / f"annotations/{folder}/{name}.png", mask)
    write(tmp_path / "testing/ADE_test_00000001.jpg", np.zeros((3, 5, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize("split", ["train", "val"])
def test_value_0_has_no_class_and_the_others_count_from_0(root: Path, split: str) -> None:
    mask = ade20k(split=split, root=root)[0].mask
    assert mask is not None
    assert mask[0].tolist() == [255, *range(150)]
    assert len(CLASSES) == len(CLASSES.colors) == 150
    assert (CLASSES.names[0], CLASSES.names[12], CLASSES.names[149]) == ("wall", "person", "flag")


def test_the_test_split_has_no_masks(root: Path) -> None:
    assert ade20k(split="test", root=root)[0].mask is None


def test_refuses_a_value_above_150_and_another_folder(root: Path, write: type) -> None:
    write(root / "annotations/training/ADE_train_00000001.png", np.full((1, 151), 151, np.uint8))
    with pytest.raises(DataError, match=r"ADE_train_00000001\.png: .*got 151 \(151 pixels\)"):
        ade20k(split="train", root=root)[0]
    with pytest.raises(DataError, match="ade20k: expected images/training and annotations/train"):
        ade20k(split="train", root=root / "testing")


def test_colours_are_those_of_the_challenge() -> None:
    colors = dict(zip(CLASSES.names, CLASSES.colors, strict=True))
    assert colors["wall"] == (120, 120, 120)
    assert colors["sky"] == (6, 230, 230)
    assert colors["person"] == (150, 5, 61)
    assert colors["flag"] == (92, 0, 255)
    assert colors["road"] == colors["skyscraper"] == (140, 140, 140)
    assert len(set(CLASSES.colors)) == 149
