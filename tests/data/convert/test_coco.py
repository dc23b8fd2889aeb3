"""COCO: what its annotations can hold, and what is left out is counted."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdistill.api.convert import Conversion, convert
from segdistill.data.coco_rle import pycocotools, read_runs
from segdistill.errors import ConfigError

from .exports import save

SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]
INSIDE = [4, 4, 8, 4, 8, 8, 4, 8]


def converted(tmp_path: Path, *regions: dict[str, Any], **how: Any) -> Conversion:
    root = tmp_path / "export"
    save(root / "images/train2017/a.png", np.zeros((20, 30, 3), np.uint8))
    listed = [{"image_id": 5, "category_id": 1} | region for region in regions]
    image = {"id": 5, "file_name": "a.png", "height": 20, "width": 30}
    categories = [{"id": 1, "name": "sofa"}, {"id": 2, "name": "cat"}]
    content = {"images": [image], "annotations": listed, "categories": categories}
    save(root / "annotations/instances_train2017.json", content)
    return convert(root, tmp_path / "out", **how)


def mask(tmp_path: Path) -> np.ndarray:
    return np.asarray(Image.open(tmp_path / "out/masks/train/a.png"))


def test_small_regions_lie_on_large_ones_and_overlaps_are_counted(tmp_path: Path) -> None:
    cat = {"category_id": 2, "segmentation": [INSIDE]}
    made = converted(tmp_path, cat, {"segmentation": [SQUARE]})
    assert (mask(tmp_path)[5, 5], mask(tmp_path)[3, 3], mask(tmp_path)[0, 0]) == (1, 0, 255)
    assert made.written.counts["pixels where regions of different classes overlap"] == 16
    assert made.written.counts["unlabelled pixels"] == 500


def test_rings_add_up_and_holes_are_those_of_run_lengths(tmp_path: Path) -> None:
    made = converted(tmp_path, {"segmentation": [SQUARE, INSIDE]})
    assert mask(tmp_path)[5, 5] == 0
    assert made.written.counts["regions with overlapping rings, which COCO unites (no holes)"] == 1
    hole = np.zeros((20, 30), np.uint8)
    hole[2:12, 2:12], hole[4:8, 4:8] = 1, 0
    from pycocotools import mask as tools

    runs = tools.encode(np.asfortranarray(hole))
    converted(tmp_path, {"segmentation": {"size": [20, 30], "counts": runs["counts"].decode()}})
    assert np.array_equal(mask(tmp_path) == 0, hole == 1)


def test_what_has_no_outline_is_counted(tmp_path: Path) -> None:
    made = converted(
        tmp_path,
        {"segmentation": [SQUARE, [1, 1, 2, 2]]},
        {"segmentation": []},
        {"bbox": [0, 0, 3, 3]},
        {"segmentation": [SQUARE], "image_id": 77},
    )
    assert made.written.counts["polygons of fewer than three points, left out"] == 1
    assert made.written.counts["boxes without an outline, left out"] == 2
    assert any("1 annotations of images that it does not list" in n for n in made.written.notes)


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ({"category_id": 9, "segmentation": [SQUARE]}, "expected a category that the file lists"),
        ({"segmentation": {"size": [20, 30], "counts": [3, 4]}}, "that add up to the image"),
        ({"segmentation": {"size": [20, 30], "counts": [-1, 601]}}, "that add up to the image"),
        ({"segmentation": {"size": [9, 9], "counts": [81]}}, "run lengths of the image's size"),
        ({"segmentation": {"size": [20, 30], "counts": "\u00e9"}}, "is no character of"),
        ({"segmentation": {"size": [20, 30], "counts": "hW"}}, "it ends within a number"),
        ({"segmentation": {"size": [20, 30], "counts": "o" * 99}}, "more than 32 bits"),
        ({"segmentation": {"size": [20, 30], "counts": "N"}}, "a run of -2 pixels"),
        ({"segmentation": {"size": [20, 30], "counts": "33"}}, "that add up to the image"),
        ({"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}, "expected corners near the image"),
    ],
)
def test_a_broken_region_is_named(region: dict[str, Any], reason: str, tmp_path: Path) -> None:
    made = converted(tmp_path, region)
    assert len(made.written.broken) == 1
    assert reason in made.written.broken[0]
    assert not (tmp_path / "out").exists()


def test_compressed_run_lengths_are_read_as_pycocotools_reads_them() -> None:
    masks = pycocotools("test")
    generator = np.random.default_rng(0)
    for share in (0.02, 0.5, 1.0):
        drawn = np.asfortranarray(generator.random((37, 41)) < share)
        packed = masks.encode(drawn)
        runs = read_runs(packed["counts"].decode())
        assert sum(runs) == drawn.size
        again = masks.frPyObjects({"size": [37, 41], "counts": runs}, 37, 41)
        assert np.array_equal(masks.decode(again), drawn)


def test_a_background_takes_what_nobody_labelled(tmp_path: Path) -> None:
    made = converted(tmp_path, {"segmentation": [SQUARE]}, background="floor")
    assert made.written.classes.names == ("floor", "sofa", "cat")
    assert mask(tmp_path)[0, 0] == 0
    assert made.written.unused == ["cat"]


def test_categories_are_matched_by_name_between_files(tmp_path: Path) -> None:
    converted(tmp_path, {"segmentation": [SQUARE]})
    root = tmp_path / "export"
    save(root / "images/val2017/b.png", np.zeros((20, 30, 3), np.uint8))
    file = root / "annotations/instances_train2017.json"
    text = file.read_text().replace("a.png", "b.png")
    content = json.loads(text)
    content["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "sofa"}]
    save(root / "annotations/instances_val2017.json", content)
    convert(root, tmp_path / "out")
    assert np.asarray(Image.open(tmp_path / "out/masks/val/b.png"))[5, 5] == 1


def test_without_pycocotools_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ConfigError, match=r"pip install 'segdistill\[convert\]'"):
        converted(tmp_path, {"segmentation": [SQUARE]})
