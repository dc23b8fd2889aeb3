"""Pascal VOC: palette masks, SBD's MATLAB masks, and which images make trainaug."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segdistill.data.files.palettes import voc_colors
from segdistill.data.formats.voc import CLASSES, voc
from segdistill.errors import DataError

IDS = np.array([[0, 1, 20, 255], [15, 15, 0, 255]], dtype=np.uint8)
TRAIN, VAL, SBD = ["2007_000032", "2007_000039"], ["2007_000033"], ["2008_000002", "2008_000003"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit/VOC2012"
    lists = root / "ImageSets/Segmentation"
    for folder in (root / "JPEGImages", root / "SegmentationClass", lists):
        folder.mkdir(parents=True)
    for name in (*TRAIN, *VAL, *SBD):
        Image.new("RGB", (4, 2)).save(root / f"JPEGImages/{name}.jpg")
    for name in (*TRAIN, *VAL):
        mask = Image.fromarray(IDS, "P")
        mask.putpalette([part for color in voc_colors(256) for part in color])
        mask.save(root / f"SegmentationClass/{name}.png")
    (lists / "train.txt").write_text("\n".join(TRAIN) + "\n")
    (lists / "val.txt").write_text("\n".join(VAL) + "\n")
    (lists / "test.txt").write_text(SBD[0] + "\n")
    return root


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    sbd = tmp_path / "benchmark_RELEASE/dataset"
    (sbd / "cls").mkdir(parents=True)
    for name in (*TRAIN, *VAL, *SBD):
        segmentation = np.full((2, 4), 7, dtype=np.uint8)
        truth = np.empty((1, 1), dtype=[("Segmentation", object), ("Boundaries", object)])
        truth[0, 0] = (segmentation, 0)
        savemat(sbd / f"cls/{name}.mat", {"GTcls": truth})
    # SBD's own split puts images of VOC's val into its train.
    (sbd / "train.txt").write_text("\n".join([TRAIN[0], VAL[0], SBD[0]]) + "\n")
    (sbd / "val.txt").write_text("\n".join([TRAIN[1], SBD[1]]) + "\n")
    return sbd


def test_palette_masks_give_ids(root: Path) -> None:
    data = voc(split="train", root=root)
    assert [pair.name for pair in data.pairs] == TRAIN
    assert np.array_equal(data[0].mask, IDS)
    assert (len(CLASSES), CLASSES.names[15]) == (21, "person")
    assert voc(split="test", root=root)[0].mask is None


def test_trainaug_is_voc_and_sbd_without_vocs_val(root: Path, sbd: Path) -> None:
    data = voc(split="trainaug", root=root, sbd=sbd)
    assert [pair.name for pair in data.pairs] == [*TRAIN, *SBD]
    assert np.array_equal(data[0].mask, IDS)
    added = data[2].mask
    assert added is not None
    assert added.dtype == np.uint8
    assert np.array_equal(added, np.full((2, 4), 7))


def test_trainaug_of_a_converted_copy_is_read(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"trainaug without data\.sbd: expected SegmentationClassAug"
    ):
        voc(split="trainaug", root=root)
    (root / "SegmentationClassAug").mkdir()
    Image.fromarray(IDS).save(root / f"SegmentationClassAug/{SBD[0]}.png")
    (root / "ImageSets/Segmentation/trainaug.txt").write_text(SBD[0] + "\n")
    assert np.array_equal(voc(split="trainaug", root=root)[0].mask, IDS)


def test_a_broken_matlab_file_is_named(root: Path, sbd: Path) -> None:
    (sbd / f"cls/{SBD[0]}.mat").write_bytes(b"MATLAB 5.0 but not really" * 20)
    with pytest.raises(DataError, match=r"2008_000002\.mat: expected a readable image"):
        voc(split="trainaug", root=root, sbd=sbd)[2]


def test_refuses_a_wrong_level_and_a_list_that_is_not_there(root: Path) -> None:
    with pytest.raises(DataError, match=f"give data.root={root}$"):
        voc(split="train", root=root.parent)
    with pytest.raises(DataError, match=r"trainval\.txt: expected a list.*here: test, train, val"):
        voc(split="trainval", root=root)


def test_colours_are_those_of_the_devkit() -> None:
    assert voc_colors(22)[15] == (192, 128, 128)
    assert voc_colors(22)[20] == (0, 64, 128)
    assert voc_colors(256)[255] == (224, 224, 192)
