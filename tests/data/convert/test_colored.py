"""Masks of classes with colours: colours, palettes in any order, or ids."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.convert.colored import ColoredCode
from segdistill.data.files.labels import ColorCode, plain_ids
from segdistill.errors import DataError

IDS = np.array([[0, 1, 2, 255]], np.uint8)
COLORS = [(10, 20, 30), (40, 50, 60), (70, 80, 90)]


@pytest.fixture
def code() -> ColoredCode:
    return ColoredCode(ColorCode({color: n for n, color in enumerate(COLORS)}), plain_ids(3))


def palette_file(path: Path, stored: np.ndarray, colors: list[tuple[int, int, int]]) -> Path:
    picture = Image.fromarray(stored, "P")
    flat = [channel for color in colors for channel in color]
    picture.putpalette(flat + [255] * (768 - len(flat)))
    picture.save(path)
    return path


def test_ids_and_colours_are_both_read(code: ColoredCode, tmp_path: Path) -> None:
    assert np.array_equal(code.decode(IDS, tmp_path / "grey.png"), IDS)
    colors = np.array(COLORS, np.uint8)[IDS[:, :3]]
    assert code.decode(colors, tmp_path / "colors.png").tolist() == [[0, 1, 2]]


def test_the_colours_of_a_palette_decide_and_not_its_order(
    code: ColoredCode, tmp_path: Path
) -> None:
    file = palette_file(tmp_path / "p.png", IDS, [COLORS[2], COLORS[0], COLORS[1]])
    assert code.decode(IDS, file).tolist() == [[2, 0, 1, 255]]


def test_a_palette_of_other_colours_holds_ids(code: ColoredCode, tmp_path: Path) -> None:
    file = palette_file(tmp_path / "p.png", IDS, [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    assert code.decode(IDS, file).tolist() == IDS.tolist()


def test_a_palette_with_some_of_the_colours_is_refused(code: ColoredCode, tmp_path: Path) -> None:
    file = palette_file(tmp_path / "p.png", IDS, [COLORS[0], COLORS[1], (9, 9, 9)])
    with pytest.raises(DataError, match=r"p\.png: .* got \(9, 9, 9\) for the ids 2"):
        code.decode(IDS, file)
