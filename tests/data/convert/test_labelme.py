"""labelme: every kind of shape, images inside the JSON, and JSON that is none."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdistill.api.convert import Conversion, convert
from segdistill.errors import DataError

from .exports import save


def labelme(root: Path, name: str, shapes: list[dict[str, Any]], **more: Any) -> None:
    size = {"imageHeight": 20, "imageWidth": 30}
    save(root / f"{name}.json", {"shapes": shapes, "imagePath": f"{name}.png"} | size | more)
    if "imageData" not in more:
        save(root / f"{name}.png", np.zeros((20, 30, 3), np.uint8))


def converted(tmp_path: Path, **how: Any) -> Conversion:
    return convert(tmp_path / "export", tmp_path / "out", **how)


def mask(tmp_path: Path, name: str = "train/a") -> np.ndarray:
    return np.asarray(Image.open(tmp_path / f"out/masks/{name}.png"))


BOX = {"label": "box", "shape_type": "rectangle", "points": [[10, 8], [2, 3]]}
DISC = {"label": "disc", "shape_type": "circle", "points": [[20, 10], [25, 10]]}


def test_rectangles_circles_and_what_has_no_area(tmp_path: Path) -> None:
    line = {"label": "box", "shape_type": "linestrip", "points": [[0, 0], [5, 5], [9, 9]]}
    two = {"label": "box", "points": [[0, 0], [5, 5]]}
    labelme(tmp_path / "export/train", "a", [BOX, DISC, line, two])
    made = converted(tmp_path)
    ids = mask(tmp_path)
    assert made.written.classes.names == ("box", "disc")
    assert np.argwhere(ids == 0).min(0).tolist() == [3, 2]
    assert np.argwhere(ids == 0).max(0).tolist() == [8, 10]
    assert (ids[10, 20], ids[10, 25], ids[10, 26], ids[5, 20]) == (1, 1, 255, 1)
    assert made.written.counts["shapes without an area (linestrip), left out"] == 1
    assert made.written.counts["shapes without an area (None), left out"] == 1


def test_ignored_shapes_have_no_class_and_the_background_takes_the_rest(tmp_path: Path) -> None:
    labelme(tmp_path / "export/train", "a", [BOX, DISC | {"label": "__ignore__"}])
    save(tmp_path / "export/labels.txt", "__ignore__\n_background_\nbox\n")
    assert converted(tmp_path).written.classes.names == ("_background_", "box")
    assert (mask(tmp_path)[0, 0], mask(tmp_path)[5, 5], mask(tmp_path)[10, 20]) == (0, 1, 255)


def test_an_image_inside_the_json_is_taken_where_the_file_is_not(tmp_path: Path) -> None:
    save(tmp_path / "x.png", np.full((20, 30, 3), 7, np.uint8))
    data = base64.b64encode((tmp_path / "x.png").read_bytes()).decode()
    labelme(tmp_path / "export/train", "a", [BOX, DISC], imageData=data)
    converted(tmp_path)
    assert (tmp_path / "out/images/train/a.png").read_bytes() == (tmp_path / "x.png").read_bytes()


def test_windows_paths_of_another_computer_are_found_by_name(tmp_path: Path) -> None:
    labelme(tmp_path / "export/train", "a", [BOX, DISC], imagePath="C:\\photos\\a.png")
    labelme(tmp_path / "export/val", "b", [BOX, DISC], imagePath="..\\val\\b.png")
    assert dict(converted(tmp_path).written.images) == {"train": 1, "val": 1}


def test_broken_records_are_named_and_the_rest_is_written(tmp_path: Path) -> None:
    root = tmp_path / "export/train"
    labelme(root, "a", [BOX, DISC])
    labelme(root, "b", [BOX | {"points": "none"}])
    labelme(root, "c", [BOX], imageHeight=40)
    labelme(root, "d", [BOX])
    (root / "d.png").unlink()
    labelme(root, "e", [BOX])
    (root / "e.json").write_text(json.dumps({"shapes": []})[:8])
    written = converted(tmp_path).written
    assert dict(written.images) == {"train": 1}
    reasons = {
        "b.json": "expected points x, y",
        "c.json": "image's size 30×20, got 30×40",
        "d.json": "expected one image d.png",
        "e.json": "expected labelme's JSON",
    }
    assert len(written.broken) == len(reasons)
    for file, reason in reasons.items():
        assert any(file in line and reason in line for line in written.broken), file


def test_a_label_that_the_class_file_lacks_is_refused(tmp_path: Path) -> None:
    labelme(tmp_path / "export/train", "a", [BOX, DISC])
    save(tmp_path / "export/labels.txt", "box\nroad\n")
    with pytest.raises(DataError, match=r"labels\.txt: .* got none for disc; add them"):
        converted(tmp_path)
