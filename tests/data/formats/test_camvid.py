"""CamVid: both forms of the layout, and the real files where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from segdistill.data.formats.camvid import camvid, split_of
from segdistill.errors import DataError

ROOT = Path(
    os.environ.get("CAMVID_ROOT", Path(__file__).parents[2].parent / "shared" / "data" / "camvid")
)


@pytest.fixture
def small(tmp_path: Path, write: type) -> Path:
    for name in ("a", "b"):
        write(tmp_path / f"train/{name}.jpg", np.zeros((4, 6, 3), np.uint8))
        write(tmp_path / f"trainannot/{name}.png", np.array([[0, 10, 11] * 2] * 4, np.uint8))
    return tmp_path


def test_void_becomes_255_and_files_pair_by_name(small: Path) -> None:
    data = camvid(split="train", root=small)
    assert [data[i].name for i in range(len(data))] == ["a", "b"]
    assert data[0].mask is not None
    assert data[0].mask[0].tolist() == [0, 10, 255] * 2
    assert len(data.classes) == len(data.classes.colors) == 11


def test_a_list_decides_which_pairs_are_read(small: Path) -> None:
    (small / "train.txt").write_text("train/b.jpg trainannot/b.png\n\n")
    assert [pair.name for pair in camvid(split="train", root=small).pairs] == ["b"]


def test_a_list_with_its_authors_absolute_paths_is_read_below_the_root(small: Path) -> None:
    (small / "train.txt").write_text("/SegNet/CamVid/train/b.jpg /SegNet/CamVid/trainannot/b.png\n")
    assert camvid(split="train", root=small).pairs[0].image == "train/b.jpg"


def test_refuses_a_list_whose_files_are_missing_and_names_them_all(small: Path) -> None:
    (small / "train.txt").write_text("train/x.jpg trainannot/x.png\ntrain/a.jpg trainannot/a.png\n")
    with pytest.raises(DataError, match=r"got 2 that are missing(.|\n)*x\.jpg(.|\n)*x\.png"):
        camvid(split="train", root=small)


def test_refuses_a_line_that_is_no_pair_and_an_empty_list(small: Path) -> None:
    (small / "train.txt").write_text("train/a.jpg\n")
    with pytest.raises(DataError, match=r"train\.txt:1: expected an image and a mask"):
        camvid(split="train", root=small)
    (small / "train.txt").write_text("")
    with pytest.raises(DataError, match="empty split"):
        camvid(split="train", root=small)


def test_refuses_a_folder_that_is_not_camvid(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="camvid: expected val and valannot, or 701_StillsRaw_full and "
    ):
        camvid(split="val", root=tmp_path)


def test_the_authors_layout_is_merged_to_11_classes_and_split_by_name(
    tmp_path: Path, write: type
) -> None:
    colors = np.array([[(128, 0, 192), (64, 128, 64), (0, 0, 0), (192, 192, 0)]], np.uint8)
    for name in ("0001TP_008520", "0001TP_008550", "0016E5_07959", "Seq05VD_f00000"):
        write(tmp_path / f"701_StillsRaw_full/{name}.png", np.zeros((1, 4, 3), np.uint8))
        write(tmp_path / f"LabeledApproved_full/{name}_L.png", colors)
    splits = {
        split: [p.name for p in camvid(split=split, root=tmp_path).pairs]
        for split in ("train", "val", "test")
    }
    assert splits == {
        "train": ["0001TP_008520"],
        "val": ["0016E5_07959"],
        "test": ["0001TP_008550", "Seq05VD_f00000"],
    }
    # A lane marking is road, an animal counts as pedestrian, black is void.
    assert camvid(split="val", root=tmp_path)[0].mask.tolist() == [[3, 9, 255, 5]]


@pytest.mark.skipif(not ROOT.is_dir(), reason="CamVid is not here")
def test_reads_the_real_camvid() -> None:
    train, val = (camvid(split=split, root=ROOT) for split in ("train", "val"))
    assert (len(train), len(val)) == (367, 101)
    for split, data in (("train", train), ("val", val)):
        assert {split_of(pair.name) for pair in data.pairs} == {split}
    sample = val[50]
    assert sample.image.shape == (360, 480, 3)
    assert sample.mask is not None
    assert set(np.unique(sample.mask)) <= {*range(11), 255}
