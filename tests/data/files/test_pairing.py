"""Names that nearly pair: what they differ in is named, and the setting that pairs them."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.files.matching import match_names
from segdistill.data.files.pairing import near_matches
from segdistill.data.formats.folder import folder
from segdistill.errors import DataError


@pytest.mark.parametrize(
    ("images", "masks", "said"),
    [
        (["p0", "p1"], ["p0_mask", "p1_mask"], "set data.mask_suffix=_mask"),
        (["p0", "p1"], ["p0.jpg", "p1.jpg"], "set data.mask_suffix=.jpg"),
        (["p0_img", "p1_img"], ["p0", "p1"], "set data.image_suffix=_img"),
        (
            ["a/a_1_leftImg8bit", "a/a_2_leftImg8bit"],
            ["a/a_1_gtFine_labelTrainIds", "a/a_2_gtFine_labelTrainIds"],
            "set data.image_suffix=_leftImg8bit data.mask_suffix=_gtFine_labelTrainIds",
        ),
        (["Pic_0"], ["pic_0"], "only in upper and lower case, such as 'Pic_0' and 'pic_0'"),
        (["cam1/0007"], ["cam1/7"], "only in the zeros before a number, such as 'cam1/0007'"),
        (["100", "000"], ["10", "1"], ""),
        (
            [unicodedata.normalize("NFC", "Köln")],
            [unicodedata.normalize("NFD", "Köln")],
            "only in their Unicode form",
        ),
        (["img_1", "img_2"], ["img_3", "img_4"], ""),
        (["p1"], ["p10"], ""),
        (["a"], [], ""),
    ],
)
def test_what_names_differ_in_is_said(images: list[str], masks: list[str], said: str) -> None:
    advice = near_matches(images, masks, settable=True)
    assert said in advice
    assert bool(said) == bool(advice)


def test_a_reader_without_the_settings_says_what_else_to_do() -> None:
    advice = near_matches(["a"], ["a_gtFine_labelTrainIds"], settable=False)
    assert advice.startswith("1 would pair where masks end in '_gtFine_labelTrainIds': rename")


def test_the_suffixes_of_a_folder_pair_its_files(tree: Path) -> None:
    for index in range(5):
        (tree / f"train/masks/{index}.png").rename(tree / f"train/masks/{index}_mask.png")
        (tree / f"train/images/{index}.png").rename(tree / f"train/images/{index}_img.png")
    with pytest.raises(DataError, match=r"set data\.image_suffix=_img data\.mask_suffix=_mask:"):
        folder(split="train", root=tree)
    data = folder(split="train", root=tree, image_suffix="_img", mask_suffix="_mask")
    assert [pair.name for pair in data.pairs] == ["0", "1", "2", "3", "4"]


def test_ten_files_of_many_are_named_with_their_count(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for index in range(37):
        (tmp_path / f"images/x{index:02d}.png").touch()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "masks/other.png")
    with pytest.raises(DataError, match="got 37 that have none") as error:
        match_names(tmp_path, "images", "masks")
    assert str(error.value).count(".png") == 10
    assert str(error.value).endswith("\n  and 27 more")


def test_files_of_kinds_that_are_not_read_are_counted_by_kind(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for index in range(3):
        (tmp_path / f"images/{index}.png").touch()
        np.save(tmp_path / f"masks/{index}.npy", np.zeros((2, 2)))
    with pytest.raises(DataError, match="got 3 NumPy arrays, which are not read; convert them"):
        match_names(tmp_path, "images", "masks")


def test_a_split_that_is_not_there_is_answered_with_those_that_are(tree: Path) -> None:
    (tree / "valid/images").mkdir(parents=True)
    (tree / "valid/masks").mkdir()
    with pytest.raises(
        DataError, match=r"expected a split val \(.*\), got train, valid; name one of them in data"
    ):
        folder(split="val", root=tree)
