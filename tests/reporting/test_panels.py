"""Panels: every point and map is where it belongs, once."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.reporting.panels import WIDTH, affinity_panels, embedding_panels

from . import found


def test_a_panel_has_a_point_for_every_pixel_inside_its_box() -> None:
    value = found.embedding()
    root = ElementTree.fromstring(embedding_panels(value, "e"))
    boxes = root.findall("rect")
    paths = root.findall("path")
    assert len(boxes) == 3
    assert len(paths) == 3 * 2
    for place, box in enumerate(boxes):
        left, top, side = (float(box.attrib[key]) for key in ("x", "y", "width"))
        points = []
        for path in paths[2 * place : 2 * place + 2]:
            points += re.findall(r"M([\d.-]+) ([\d.-]+)h0", path.attrib["d"])
        assert len(points) == 30
        for x, y in points:
            assert left <= float(x) <= left + side <= WIDTH + 0.1
            assert top <= float(y) <= top + side


def test_distances_keep_their_shares_on_both_axes() -> None:
    value = found.embedding()
    value["networks"] = {
        "plain": {"neighbour_agreement": 0.5, "x": [0.0, 4.0, 0.0], "y": [0.0, 0.0, 2.0]}
    }
    value["labels"] = [0, 0, 0]
    svg = embedding_panels(value, "e")
    points = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", svg)]
    across, down = points[1][0] - points[0][0], points[2][1] - points[0][1]
    assert across == pytest.approx(2 * down, abs=0.2)


def test_the_legend_names_the_classes_that_are_there_escaped() -> None:
    svg = embedding_panels(found.embedding(), "e")
    assert ">sky<" in svg
    assert "pole &lt;thin&gt;" in svg
    assert ">road<" not in svg
    assert "color-mix(in srgb, rgb(70 130 180) 86%, currentColor)" in svg


def test_a_picture_is_in_the_page_once_and_every_map_lies_over_it(tmp_path: Path) -> None:
    svg = affinity_panels(found.affinity(tmp_path), tmp_path, "a")
    root = ElementTree.fromstring(svg)
    assert svg.count("data:image/jpeg") == 1
    assert svg.count("data:image/png") == 4
    uses, maps = root.findall("use"), root.findall("image")
    assert len(uses) == 5
    assert [(one.attrib["x"], one.attrib["y"]) for one in uses[1:]] == [
        (one.attrib["x"], one.attrib["y"]) for one in maps
    ]


def test_the_point_is_marked_at_the_middle_of_its_cell(tmp_path: Path) -> None:
    root = ElementTree.fromstring(affinity_panels(found.affinity(tmp_path), tmp_path, "a"))
    use, cross = root.findall("use")[0], root.findall("path")[0]
    place = root.findall("defs")[0][0]
    width, height = float(place.attrib["width"]), float(place.attrib["height"])
    x, y = re.match(r"M([\d.]+) ([\d.]+)h10", cross.attrib["d"]).groups()  # type: ignore[union-attr]
    # Column 3 of 4 and row 2 of 3, from 0.
    assert float(x) + 5 == pytest.approx(float(use.attrib["x"]) + width * 3.5 / 4, abs=0.2)
    assert float(y) == pytest.approx(float(use.attrib["y"]) + height * 2.5 / 3, abs=0.2)


def test_the_scale_goes_from_the_lowest_value_of_all_maps_to_one(tmp_path: Path) -> None:
    svg = affinity_panels(found.affinity(tmp_path), tmp_path, "a")
    assert "cosine −0.22" in svg
    coded = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", svg)
    first, last = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB"))
        for one in (coded[0], coded[-1])
    )
    darkest, lightest = (68, 1, 84), (253, 231, 36)  # the ends of viridis
    assert tuple(first[0, 0]) == darkest
    assert tuple(first[-1, -1]) == tuple(last[-1, -1]) == lightest
    assert tuple(last[0, 0]) != darkest
