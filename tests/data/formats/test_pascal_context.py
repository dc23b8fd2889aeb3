"""Pascal Context: the authors' MATLAB files by label name, and the converted PNGs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segdistill.data.formats.pascal_context import NAMES, pascal_context
from segdistill.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2010"
    for folder in ("JPEGImages", "trainval", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    # 459 labels: fillers between the 59, as in the authors' file.
    names = [name for pair in zip(NAMES, [f"filler{i}" for i in range(59)]) for name in pair]  # noqa: B905
    (root / "labels.txt").write_text("\n".join(f"{i + 1}: {n}" for i, n in enumerate(names)))
    Image.new("RGB", (4, 1)).save(root / "JPEGImages/2008_000002.jpg")
    # aeroplane, a filler, bag, and an unlabelled pixel
    stored = np.array([[1, 2, 3, 0]], dtype=np.uint16)
    savemat(root / "trainval/2008_000002.mat", {"LabelMap": stored})
    (root / "ImageSets/Main/train.txt").write_text("2008_000002\n2008_000008\n")
    return root


def test_the_authors_labels_become_classes_by_name(root: Path) -> None:
    data = pascal_context(split="train", root=root)
    assert len(data) == 1
    assert len(data.classes) == 60
    assert data.classes.names[:3] == ("background", "aeroplane", "bag")
    assert data[0].mask is not None
    assert data[0].mask.tolist() == [[1, 0, 2, 0]]


def test_without_background_the_rest_has_no_class(root: Path) -> None:
    data = pascal_context(split="train", root=root, background=False)
    assert len(data.classes) == 59
    assert data[0].mask is not None
    assert data[0].mask.tolist() == [[0, 255, 1, 255]]


def test_converted_masks_are_read_and_preferred(root: Path) -> None:
    (root / "SegmentationClassContext").mkdir()
    (root / "ImageSets/SegmentationContext").mkdir()
    mask = np.array([[0, 1, 59, 255]], dtype=np.uint8)
    Image.fromarray(mask).save(root / "SegmentationClassContext/2008_000002.png")
    (root / "ImageSets/SegmentationContext/val.txt").write_text("2008_000002\n")
    data = pascal_context(split="val", root=root)
    assert np.array_equal(data[0].mask, mask)
    assert data.classes.names[59] == "wood"


def test_refuses_a_label_file_without_the_classes(root: Path) -> None:
    (root / "labels.txt").write_text("1: aeroplane\n")
    with pytest.raises(DataError, match=r"labels\.txt: expected the names of 59 classes.*bag, bed"):
        pascal_context(split="train", root=root)
