"""Images and masks are paired in every spelling that people use."""

from pathlib import Path

import pytest

from segdistill.data.convert.pairing import Match, pair_files

TRAIN = [
    ("train/images/a.jpg", "train/masks/a.png"),
    ("images/train/a.jpg", "masks/train/a.png"),
    ("images/training/a.JPG", "annotations/training/a.png"),
    ("train/a.png", "train_labels/a_L.png"),
    ("train/a.png", "trainannot/a.png"),
    ("train_images/a.jpg", "train_masks/a_mask.png"),
    ("images_train/a.jpg", "labels_train/a.png"),
    ("train/a.jpg", "train/a_mask.png"),
    ("train/a_sat.jpg", "train/a_mask.png"),
    ("train/a.jpg", "train/a.png"),
    ("train/img/a.jpg", "train/masks_machine/a.jpg.png"),
    ("train/Images/a.jpg", "train/Labels/A.png"),
    ("train/img/é.jpg", "train/gt/e\u0301.png"),
    ("leftImg8bit/train/a_leftImg8bit.png", "gtFine/train/a_gtFine_labelTrainIds.png"),
]


@pytest.mark.parametrize(("image", "mask"), TRAIN)
def test_a_pair_is_found_with_its_split(image: str, mask: str) -> None:
    name = Path(image).name.split(".")[0].removesuffix("_sat").removesuffix("_leftImg8bit")
    pairing = pair_files([Path(mask), Path(image)])
    assert pairing.matches == (Match(name, "train", Path(image), Path(mask)),)
    assert not (pairing.images_alone)
    assert not (pairing.masks_alone)
    assert not (pairing.doubles)


@pytest.mark.parametrize("folder", ["brigand", "simple", "label maker co", "target practice"])
def test_words_inside_other_words_are_none(folder: str) -> None:
    files = [Path(f"images/{folder}/a.jpg"), Path(f"masks/{folder}/a.png")]
    assert [match.mask for match in pair_files(files).matches] == [files[1]]


def test_what_has_no_partner_or_two_is_listed() -> None:
    files = (
        "images/a.jpg images/b.jpg masks/b.png masks/c.png images/d.jpg images/d.png masks/d.png"
    )
    pairing = pair_files(map(Path, files.split()))
    assert [match.name for match in pairing.matches] == ["b"]
    assert pairing.images_alone == (Path("images/a.jpg"),)
    assert pairing.masks_alone == (Path("masks/c.png"),)
    assert set(map(str, pairing.doubles)) == {"images/d.jpg", "images/d.png", "masks/d.png"}


def test_folders_below_the_split_stay_in_the_name_and_shared_ones_go() -> None:
    files = [Path(f"x/{kind}/train/{city}/1.png") for kind in ("images", "masks") for city in "ab"]
    assert [match.name for match in pair_files(files).matches] == ["a/1", "b/1"]
