"""Predictions as files: ids as the servers count them, names by their rules."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.files.reading import read_image
from segdistill.data.formats import ade20k, cityscapes, voc
from segdistill.data.submission import FORMATS, overlay, server_classes, write_prediction
from segdistill.types import Classes

TWO = Classes(("a", "b"), ((10, 20, 30), (200, 100, 0)))


def image(shape: tuple[int, int]) -> np.ndarray:
    return np.full((*shape, 3), 100, dtype=np.uint8)


def stored(path: Path) -> list[int]:
    with Image.open(path) as picture:
        return np.array(picture).ravel().tolist()


def test_cityscapes_takes_label_ids_in_one_folder(tmp_path: Path) -> None:
    ids = np.array([[0, 10, 18]])
    name = "berlin/berlin_000000_000019"
    path = write_prediction(tmp_path, ids, image((1, 3)), name, cityscapes.CLASSES, "cityscapes")
    assert path == tmp_path / "berlin_000000_000019.png"
    assert stored(path) == [7, 23, 33]
    with Image.open(path) as picture:
        assert picture.mode == "L"


def test_ade20k_counts_from_1_and_voc_writes_a_palette(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 20]])
    path = write_prediction(tmp_path, ids, image((1, 3)), "ADE_test_1", ade20k.CLASSES, "ade20k")
    assert (path.name, stored(path)) == ("ADE_test_1.png", [1, 2, 21])
    path = write_prediction(tmp_path, ids, image((1, 3)), "2008_000001", voc.CLASSES, "voc")
    assert stored(path) == [0, 1, 20]
    assert read_image(path)[0, 2].tolist() == [0, 64, 128]


def test_pictures_for_people_keep_the_folders_of_the_name(tmp_path: Path) -> None:
    ids = np.array([[0, 1]])
    path = write_prediction(tmp_path, ids, image((1, 2)), "city/x", TWO, "color")
    assert path == tmp_path / "city/x.png"
    assert read_image(path)[0].tolist() == [[10, 20, 30], [200, 100, 0]]
    assert overlay(image((1, 2)), ids, TWO)[0].tolist() == [[55, 60, 65], [150, 100, 50]]
    path = write_prediction(tmp_path, ids, image((1, 2)), "city/x", TWO, "overlay")
    assert path == tmp_path / "city/x.jpg"


@pytest.mark.parametrize("kind", FORMATS)
def test_refuses_what_no_server_could_score(tmp_path: Path, kind: str) -> None:
    with pytest.raises(
        ValueError, match=r"expected a prediction of x's size \(2, 2\), got \(1, 1\)"
    ):
        write_prediction(tmp_path, np.zeros((1, 1)), image((2, 2)), "x", TWO, kind)
    with pytest.raises(ValueError, match="expected train ids 0 to 1 for x, got 0 to 2"):
        write_prediction(tmp_path, np.array([[0, 2]]), image((1, 2)), "x", TWO, kind)
    if server_classes(kind) is not None:
        with pytest.raises(ValueError, match=f"classes of the format {kind}, .*got 2, a, b first"):
            write_prediction(tmp_path, np.array([[0]]), image((1, 1)), "x", TWO, kind)
    assert list(tmp_path.iterdir()) == []


def test_refuses_an_unknown_format(tmp_path: Path) -> None:
    kinds = "cityscapes, ade20k, voc, ids, color, overlay"
    with pytest.raises(ValueError, match=f"expected one of {kinds}"):
        write_prediction(tmp_path, np.array([[0]]), image((1, 1)), "x", TWO, "png")


@pytest.mark.parametrize("name", ["../x", "/x"])
def test_writes_nothing_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected a name that stays below"):
        write_prediction(tmp_path, np.zeros((1, 1)), image((1, 1)), name, TWO, "color")


def test_class_ids_keep_their_colours_and_pixels_without_a_class(tmp_path: Path) -> None:
    path = write_prediction(tmp_path, np.array([[0, 1, 255]]), image((1, 3)), "b/a", TWO, "ids")
    assert (path, stored(path)) == (tmp_path / "b/a.png", [0, 1, 255])
    with Image.open(path) as picture:
        colors = np.asarray(picture.convert("RGB"))[0].tolist()
    assert colors == [[10, 20, 30], [200, 100, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="expected train ids 0 to 1 for a, got 2 to 2"):
        write_prediction(tmp_path, np.array([[2, 255]]), image((1, 2)), "a", TWO, "ids")


def test_coco_has_a_run_length_mask_for_each_class(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    ids = np.array([[0, 1, 1], [255, 1, 0]])
    path = write_prediction(tmp_path, ids, image((2, 3)), "city/x", TWO, "coco", file_name="x.jpg")
    assert path == tmp_path / "city/x.json"
    document = json.loads(path.read_text())
    assert document["images"] == [{"id": 1, "file_name": "x.jpg", "height": 2, "width": 3}]
    assert document["categories"] == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    first, second = document["annotations"]
    assert [first["category_id"], first["area"]] == [1, 2]
    assert [second["category_id"], second["area"], second["bbox"]] == [2, 3, [1, 0, 2, 2]]
    assert np.array_equal(masks.decode(second["segmentation"]), ids == 1)
