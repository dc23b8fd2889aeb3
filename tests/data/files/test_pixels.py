"""Stored numbers as RGB: one range and one choice of bands for a whole dataset."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data import build_dataset, inspect_data
from segdistill.data.files.pixels import AS_STORED, pixels, to_rgb
from segdistill.data.files.reading import read_image
from segdistill.errors import ConfigError, DataError

FILE = Path("a.tif")
RAMP = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)


def test_8_bits_stay_and_16_bits_are_read_over_their_whole_range() -> None:
    stored = np.array([[[0, 7, 255]]], dtype=np.uint8)
    assert to_rgb(stored, FILE, pixels(range=(0, 4095))).tolist() == stored.tolist()
    wide = np.array([[[0], [257], [65535]]], dtype=np.uint16)
    assert to_rgb(wide, FILE, AS_STORED)[0].tolist() == [[0] * 3, [1] * 3, [255] * 3]


@pytest.mark.parametrize("bits", [10, 11, 12])
def test_a_stated_range_keeps_all_grey_levels_of_a_camera(tmp_path: Path, bits: int) -> None:
    top = 2**bits - 1
    stored = np.linspace(0, top, 4096).reshape(64, 64).astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", pixels(range=(0, top)))
    assert len(np.unique(image)) == 256
    assert np.array_equal(image[..., 0], np.floor(stored * 255.0 / top + 0.5))


def test_a_range_clips_and_reads_floats_and_32_bits(tmp_path: Path) -> None:
    stored = np.array([[-3.0, 0.0, 0.5, 1.0, 9.0, np.nan]], dtype=np.float32)
    Image.fromarray(stored).save(tmp_path / "f.tif")
    image = read_image(tmp_path / "f.tif", pixels(range=(0.0, 1.0)))
    assert image[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0]
    Image.fromarray(np.array([[0, 200, 256]], dtype=np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(DataError, match=r"got int32, which does not define white \(.*256\)"):
        read_image(tmp_path / "i.tif")
    image = read_image(tmp_path / "i.tif", pixels(range=(0, 255)))
    assert image[0, :, 1].tolist() == [0, 200, 255]


def test_bands_are_chosen_and_those_that_are_not_there_refused(tmp_path: Path) -> None:
    four = np.stack([np.full((4, 5), value, np.uint8) for value in (10, 20, 30, 40)], axis=2)
    Image.fromarray(four, "RGBA").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [10, 20, 30]
    assert read_image(tmp_path / "a.png", pixels(bands=(3, 0, 1)))[0, 0].tolist() == [40, 10, 20]
    with pytest.raises(DataError, match="got a file with bands 0 to 3; correct data"):
        read_image(tmp_path / "a.png", pixels(bands=(0, 1, 4)))


def test_refuses_settings_that_cannot_be_meant() -> None:
    with pytest.raises(ConfigError, match=r"expected \[black, white\], got \[9, 9\]"):
        pixels(range=(9, 9))
    with pytest.raises(ConfigError, match="expected numbers of bands from 0"):
        pixels(bands=(0, 1, -1))


def camera(tree: Path, top: int) -> None:
    for index in range(5):
        stored = np.linspace(0, top, 600).reshape(20, 30).astype(np.uint16)
        Image.fromarray(stored).save(tree / f"train/images/{index}.png")


def test_the_check_measures_the_range_over_the_set_and_asks_for_it(tree: Path) -> None:
    camera(tree, 4095)
    options = {"dataset": "folder", "root": tree}
    (fault,) = inspect_data(options, ["train"]).faults
    assert "got numbers from 0 to 4095 in 5 files, which leave 16 of 256 grey levels" in fault
    assert "set data.range=[0, 4095]" in fault
    assert inspect_data({**options, "range": [0, 4095]}, ["train"]).faults == []
    assert inspect_data({**options, "range": [0, 65535]}, ["train"]).faults == []
    (warning,) = inspect_data({**options, "range": [0, 1023]}, ["train"]).warnings
    assert "numbers up to 4095 lie above data.range [0, 1023]" in warning
    data = build_dataset({**options, "range": [0, 4095]}, split="train")
    assert len(np.unique(data[0].image)) == 256


def test_16_bits_in_full_use_need_no_range(tree: Path) -> None:
    camera(tree, 65535)
    assert inspect_data({"dataset": "folder", "root": tree}, ["train"]).faults == []


def test_the_check_measures_what_is_refused_for_want_of_a_range(tree: Path) -> None:
    for index in range(5):
        stored = np.full((20, 30), index * 0.5, dtype=np.float32)
        (tree / f"train/images/{index}.png").unlink()
        Image.fromarray(stored).save(tree / f"train/images/{index}.tif")
    faults = inspect_data({"dataset": "folder", "root": tree}, ["train"]).faults
    assert len(faults) == 6
    assert "numbers from 0 to 2 in 5 files; set data.range=[0, 2]" in faults[-1]
