"""COCO-Stuff: 182 ids of which 171 are used, stored less one."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from segdistill.config.loading import read
from segdistill.data import build_dataset
from segdistill.data.formats.coco_stuff import CLASSES, coco_stuff
from segdistill.data.formats.voc import CLASSES as VOC
from segdistill.errors import DataError

# COCO id: name, from the authors' labels.txt.
SOME = {1: "person", 11: "fire hydrant", 13: "stop sign", 90: "toothbrush", 92: "banner"}
SOME |= {96: "building-other", 157: "sky-other", 182: "wood"}


@pytest.mark.parametrize("layout", ["images/{0}|stuffthingmaps/{0}", "{0}|annotations/{0}"])
def test_coco_ids_become_171_classes(tmp_path: Path, write: type, layout: str) -> None:
    images, masks = layout.format("val2017").split("|")
    stored = np.array([[*(coco - 1 for coco in SOME), 255]], dtype=np.uint8)
    write(tmp_path / images / "000000000139.jpg", np.zeros((1, 9, 3), np.uint8))
    write(tmp_path / masks / "000000000139.png", stored)
    data = coco_stuff(split="val", root=tmp_path)
    assert len(CLASSES) == len(set(CLASSES.names)) == 171
    assert data[0].mask is not None
    found = data[0].mask[0].tolist()
    assert [CLASSES.names[i] for i in found[:-1]] == list(SOME.values())
    assert found[-1] == 255


def test_knowledge_adaptation_reads_it_as_vocs_classes(tmp_path: Path, write: type) -> None:
    recipe = read("papers/ka_coco")["data"]
    by_name = {"airplane": "aeroplane", "motorcycle": "motorbike", "couch": "sofa"}
    by_name |= {"tv": "tv monitor"}
    stored = {name: coco - 1 for coco, name in SOME.items()}
    values = np.array([[*stored.values(), 4, 255]], dtype=np.uint8)  # COCO's 5: airplane
    write(tmp_path / "images/train2017/a.jpg", np.zeros((1, len(values[0]), 3), np.uint8))
    write(tmp_path / "stuffthingmaps/train2017/a.png", values)
    options = {key: recipe[key] for key in ("dataset", "classes_of", "labels")}
    data = build_dataset({**options, "root": str(tmp_path)}, split="train")
    assert data.classes == VOC
    assert data[0].mask is not None
    found = [VOC.names[index] for index in data[0].mask[0].tolist()]
    names = [by_name.get(name, name) for name in [*stored, "airplane"]]
    assert found[:-1] == [name if name in VOC.names else "background" for name in names]
    assert found[-1] == "background"
    # All 20 objects of VOC are among COCO's, by their own name or the recipe's.
    assert {*CLASSES.names, *by_name.values()} >= {*VOC.names} - {"background"}
    assert {key: recipe["labels"][key] for key in by_name} == by_name


def test_refuses_an_id_that_coco_never_labelled(tmp_path: Path, write: type) -> None:
    write(tmp_path / "images/train2017/a.jpg", np.zeros((1, 2, 3), np.uint8))
    write(tmp_path / "stuffthingmaps/train2017/a.png", np.array([[0, 11]], np.uint8))
    with pytest.raises(DataError, match=r"a\.png: .*got 11 \(1 pixels\)"):
        coco_stuff(split="train", root=tmp_path)[0]


@pytest.fixture
def flat(tmp_path: Path, write: type) -> Path:
    """COCO-Stuff 10k, version 1.1: COCO ids in MATLAB files, 0 unlabelled."""
    stored = np.array([[*SOME, 0]], dtype=np.uint8)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "imageLists").mkdir()
    for split, name in (
        ("train", "COCO_train2014_000000000077"),
        ("test", "COCO_val_000089"),
    ):
        write(tmp_path / f"images/{name}.jpg", np.zeros((1, 9, 3), np.uint8))
        savemat(tmp_path / f"annotations/{name}.mat", {"S": stored, "names": ["unlabeled"]})
        (tmp_path / f"imageLists/{split}.txt").write_text(f"{name}\n")
    return tmp_path


def test_the_flat_folders_of_10k_are_read_by_their_lists(flat: Path) -> None:
    for split, frame in (("train", "000000000077"), ("val", "000089"), ("test", "000089")):
        data = coco_stuff(split=split, root=flat)
        assert data[0].name.endswith(frame)
        assert data[0].mask is not None
        found = data[0].mask[0].tolist()
        assert [CLASSES.names[i] for i in found[:-1]] == list(SOME.values())
        assert found[-1] == 255


def test_flat_masks_as_png_store_the_id_less_one(flat: Path, write: type) -> None:
    name = "COCO_train2014_000000000077"
    stored = np.array([[*(coco - 1 for coco in SOME), 255]], dtype=np.uint8)
    write(flat / f"annotations/{name}.png", stored)
    data = coco_stuff(split="train", root=flat)
    assert data[0].mask is not None
    assert [CLASSES.names[i] for i in data[0].mask[0, :-1]] == list(SOME.values())


def test_files_that_a_list_names_must_be_there(flat: Path) -> None:
    (flat / "imageLists/train.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"got 4 that are missing(.|\n)*images/b\.jpg"):
        coco_stuff(split="train", root=flat)
