"""Where a dataset lies: a root one level too high or too deep is said, for every dataset."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from segdistill.catalogue.datasets import DATASETS
from segdistill.data import build_dataset
from segdistill.data.formats.pascal_context import NAMES
from segdistill.errors import DataError

RGB = np.zeros((2, 3, 3), dtype=np.uint8)
IDS = np.zeros((2, 3), dtype=np.uint8)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def camvid_folders(root: Path, write: Callable) -> None:
    write(root / "train/0001TP_006690.png", RGB)
    write(root / "trainannot/0001TP_006690.png", IDS)


def camvid_full(root: Path, write: Callable) -> None:
    write(root / "701_StillsRaw_full/0001TP_006690.png", RGB)
    write(root / "LabeledApproved_full/0001TP_006690_L.png", RGB)


def cityscapes(root: Path, write: Callable) -> None:
    write(root / "leftImg8bit/train/ulm/ulm_0_0_leftImg8bit.png", RGB)
    write(root / "gtFine/train/ulm/ulm_0_0_gtFine_labelIds.png", IDS)


def ade20k(root: Path, write: Callable) -> None:
    write(root / "images/training/a.jpg", RGB)
    write(root / "annotations/training/a.png", IDS)


def voc(root: Path, write: Callable) -> None:
    write(root / "JPEGImages/a.jpg", RGB)
    write(root / "SegmentationClass/a.png", IDS)
    _text(root / "ImageSets/Segmentation/train.txt", "a\n")


def pascal_context(root: Path, write: Callable) -> None:
    write(root / "JPEGImages/a.jpg", RGB)
    _text(root / "labels.txt", "\n".join(f"{i + 1}: {n}" for i, n in enumerate(NAMES)))
    _text(root / "ImageSets/Main/train.txt", "a\n")
    (root / "trainval").mkdir()
    savemat(root / "trainval/a.mat", {"LabelMap": IDS.astype(np.uint16)})


def coco_stuff(root: Path, write: Callable) -> None:
    write(root / "images/train2017/a.jpg", RGB)
    write(root / "stuffthingmaps/train2017/a.png", IDS)


def coco_stuff_10k(root: Path, write: Callable) -> None:
    write(root / "images/a.jpg", RGB)
    _text(root / "imageLists/train.txt", "a\n")
    (root / "annotations").mkdir()
    savemat(root / "annotations/a.mat", {"S": IDS + 1})


def folder(root: Path, write: Callable) -> None:
    write(root / "train/images/a.png", RGB)
    write(root / "train/masks/a.png", IDS)
    _text(root / "classes.txt", "ground\n")


def list_of_files(root: Path, write: Callable) -> None:
    write(root / "pictures/a.png", RGB)
    write(root / "pictures/m.png", IDS)
    _text(root / "data.csv", "image,mask\npictures/a.png,pictures/m.png\n")
    _text(root / "classes.txt", "ground\n")


def hf(root: Path, write: Callable) -> None:
    datasets = pytest.importorskip("datasets")
    write(root.parent / "a.png", RGB)
    write(root.parent / "m.png", IDS)
    cells = {"image": [f"{root.parent}/a.png"], "label": [f"{root.parent}/m.png"]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Image()})
    table = datasets.Dataset.from_dict(cells, features=features)
    datasets.disable_progress_bars()
    datasets.DatasetDict({"train": table, "val": table}).save_to_disk(str(root))
    _text(root / "classes.txt", "ground\n")


TREES = {
    "camvid": ("camvid", camvid_folders, "train"),
    "camvid full": ("camvid", camvid_full, "701_StillsRaw_full"),
    "cityscapes": ("cityscapes", cityscapes, "leftImg8bit"),
    "ade20k": ("ade20k", ade20k, "images"),
    "voc": ("voc", voc, "JPEGImages"),
    "pascal_context": ("pascal_context", pascal_context, "JPEGImages"),
    "coco_stuff": ("coco_stuff", coco_stuff, "images"),
    "coco_stuff 10k": ("coco_stuff", coco_stuff_10k, "images"),
    "folder": ("folder", folder, "train"),
    "list": ("list", list_of_files, "pictures"),
    "hf": ("hf", hf, "val"),
}


@pytest.mark.parametrize("tree", TREES)
def test_a_root_one_level_off_is_said_with_the_right_one(
    tree: str, tmp_path: Path, write: Callable
) -> None:
    dataset, build, below = TREES[tree]
    root = tmp_path / "up" / "here it is"
    root.mkdir(parents=True)
    build(root, write)
    assert len(build_dataset({"dataset": dataset, "root": str(root)}, split="train")) == 1
    for wrong in (root.parent, root / below):
        split = "val" if (tree, wrong) == ("hf", root / below) else "train"
        with pytest.raises(DataError, match=r"^[\w ]+: expected ") as refusal:
            build_dataset({"dataset": dataset, "root": str(wrong)}, split=split)
        assert str(refusal.value).endswith(f"in {wrong}, got none; give data.root={root}")
    with pytest.raises(DataError, match=r"check data\.root and the split$"):
        build_dataset({"dataset": dataset, "root": str(tmp_path / "nowhere")}, split="train")


def test_every_dataset_with_a_layout_is_tried() -> None:
    # Any folder of images is one for images, and scenes have no files.
    assert {tree[0] for tree in TREES.values()} == set(DATASETS) - {"images", "scenes"}


def test_a_packed_copy_one_level_off_is_said(tmp_path: Path, write: Callable) -> None:
    from segdistill.data.pack.packing import pack

    folder(tmp_path / "plain", write)
    options = {"dataset": "folder", "root": str(tmp_path / "plain")}
    data = build_dataset(options, split="train")
    packed = pack({"train": data}, tmp_path / "up" / "packed", options=options)
    with pytest.raises(DataError, match=rf"give data\.root={packed}$"):
        build_dataset({**options, "root": str(packed.parent)}, split="train")
