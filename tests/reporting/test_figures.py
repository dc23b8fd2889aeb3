"""Figures of the analyses: what was found is what is drawn."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdistill.analysis import activation, affinity, critic, embedding, entropy, images, magnitudes
from segdistill.analysis.captions import Place
from segdistill.catalogue.analyses import ANALYSES

from . import analysed

COLORS = {"plain": "--s1", "kl": "--s2", "angular": "--s3", "teacher": "--s0"}
PLACE = Place(Path(), "f", COLORS)


def words(svg: str) -> str:
    texts = [one for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("text")]
    return " ".join("".join(text.itertext()).strip() for text in texts)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_row_has_its_file_with_both_halves(name: str) -> None:
    module = import_module(f"segdistill.analysis.{name}")
    assert callable(module.measure)
    assert callable(module.draw)


def test_every_temperature_has_a_histogram_and_its_mean() -> None:
    (figure,) = entropy.draw(analysed.entropy(), PLACE)
    assert "T = 1, mean 0.25" in words(figure.svg)
    assert "T = 4, mean 0.75" in words(figure.svg)
    assert {"--s1", "--s2"} == set(re.findall(r"--s\d", figure.svg))


def test_lengths_of_student_and_teacher_have_colours_apart() -> None:
    (figure,) = magnitudes.draw(analysed.magnitudes(), PLACE)
    assert "n, kl" in words(figure.svg)
    assert "m, teacher" in words(figure.svg)
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\((--s\d)\)', figure.svg)
    long = [color for path, color in lines if path.count("L") == 3]
    assert sorted(long) == ["--s0", "--s2", "--s2"]


def test_a_critics_scores_are_in_the_order_of_the_first_student() -> None:
    (figure,) = critic.draw(analysed.critic(), PLACE)
    assert "plain, mean +0.25" in words(figure.svg)
    assert "kl, mean +0.00" in words(figure.svg)
    uses = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*stroke: var\(--s1\)', figure.svg)
    heights = [float(y) for _, y in uses[:3]]
    assert heights == sorted(heights, reverse=True)


def test_differences_rise_from_the_worst_image_to_the_best() -> None:
    (figure,) = images.draw(analysed.images(), PLACE)
    assert "kl: 75 % better" in words(figure.svg)
    assert "angular: 50 % better" in words(figure.svg)
    (path,) = [
        path
        for path, color in re.findall(r'<path d="([^"]+)"[^>]*stroke: var\((--s\d)\)', figure.svg)
        if color == "--s2" and path.count("L") == 3
    ]
    heights = [float(y) for _, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True)


def points_of(values: dict[str, Any]) -> list[tuple[float, float]]:
    (figure,) = embedding.draw(values, PLACE)
    drawn = re.findall(r'<path d="([^"]+)"[^>]*stroke-linecap: round', figure.svg)
    pairs = [pair for path in drawn for pair in re.findall(r"M ([\d.]+) ([\d.]+)", path)]
    return [(float(x), float(y)) for x, y in pairs]


def test_an_embedding_has_a_point_for_every_pixel_of_every_student() -> None:
    values = analysed.embedding()
    assert len(points_of(values)) == 3 * 30
    (figure,) = embedding.draw(values, PLACE)
    assert "plain 50 %" in words(figure.svg)


def test_distances_keep_their_shares_on_both_axes() -> None:
    values = analysed.embedding()
    values["networks"] = {
        "plain": {"neighbour_agreement": 0.5, "x": [0.0, 4.0, 0.0], "y": [0.0, 0.0, 2.0]}
    }
    values["labels"] = [0, 0, 0]
    first, second, third = points_of(values)
    assert second[0] - first[0] == pytest.approx(2 * (first[1] - third[1]), abs=0.3)


def test_the_legend_names_the_classes_that_are_there_escaped() -> None:
    (figure,) = embedding.draw(analysed.embedding(), PLACE)
    assert ">sky<" in figure.svg
    assert "pole &lt;thin&gt;" in figure.svg
    assert ">road<" not in figure.svg
    assert "color-mix(in srgb, #4682b4 86%, currentColor)" in figure.svg


def pictures_of(folder: Path) -> list[np.ndarray]:
    (figure,) = affinity.draw(analysed.affinity(folder), Place(folder, "a", COLORS))
    coded = re.findall(r'"data:image/png;base64,([A-Za-z0-9+/=]+)"', figure.svg)
    files = [io.BytesIO(base64.b64decode(one)) for one in coded]
    return [np.asarray(Image.open(file).convert("RGB")).astype(int) for file in files]


def test_every_network_has_its_map_over_the_picture(tmp_path: Path) -> None:
    photo, *maps = pictures_of(tmp_path)[:5]
    assert photo.reshape(-1, 3).std(axis=0).max() == 0, "the grey input by itself"
    darkest, lightest = np.array([68, 1, 84]), np.array([253, 231, 36])  # the ends of viridis
    for end, place in ((darkest, (0, 0)), (lightest, (-1, -1))):
        expected = 0.72 * end + 0.28 * 120
        assert np.abs(maps[0][place] - expected).max() <= 2
    assert np.abs(maps[3][0, 0] - (0.72 * darkest + 0.28 * 120)).max() > 2


def test_the_scale_goes_from_the_lowest_value_of_all_maps_to_one(tmp_path: Path) -> None:
    (figure,) = affinity.draw(analysed.affinity(tmp_path), Place(tmp_path, "a", COLORS))
    assert "cosine −0.22" in words(figure.svg)
    for name in ("input", "plain", "kl", "angular", "teacher"):
        assert name in words(figure.svg)


def test_every_network_has_its_activations_over_the_picture(tmp_path: Path) -> None:
    (figure,) = activation.draw(analysed.activation(tmp_path), Place(tmp_path, "a", COLORS))
    assert figure.title == "Activations of backbone on street & square"
    for name in ("input", "plain", "kl", "angular", "teacher", "weakest", "strongest"):
        assert name in words(figure.svg)
    assert "plain 0.125 to 2.5, kl 0.125 to 3.5" in figure.alt
