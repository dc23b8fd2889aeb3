"""Pictures for people: colours of the classes, files written whole."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.data.files.reading import read_image
from segdistill.data.pictures import colorize, write_image, write_mask
from segdistill.types import Classes

CLASSES = Classes(("a", "b"), ((10, 20, 30), (200, 100, 0)))


def test_a_mask_becomes_its_classes_colours_and_no_class_black() -> None:
    picture = colorize(np.array([[0, 1, 255, 7]]), CLASSES)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[10, 20, 30], [200, 100, 0], [0, 0, 0], [0, 0, 0]]]


def test_a_written_mask_reads_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    mask = np.array([[0, 1], [255, 1]], dtype=np.uint8)
    write_mask(tmp_path / "m.png", mask, CLASSES)
    assert np.array_equal(read_image(tmp_path / "m.png"), colorize(mask, CLASSES))
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


def test_a_photo_is_written_as_jpeg(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 99, np.uint8)
    write_image(tmp_path / "a.jpg", image)
    assert (tmp_path / "a.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - 99).max() <= 2


def test_names_with_folders_are_written_below_them(tmp_path: Path) -> None:
    write_image(tmp_path / "aachen/aachen_000000_000019_input.jpg", np.zeros((4, 6, 3), np.uint8))
    assert (tmp_path / "aachen/aachen_000000_000019_input.jpg").is_file()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises((TypeError, ValueError)):
        write_image(tmp_path / "a.png", np.zeros((4, 4, 7), np.uint8))
    assert read_image(tmp_path / "a.png").shape == (4, 4, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
