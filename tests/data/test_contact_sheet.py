"""The contact sheet: images and masks side by side, broken ones left out."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.data.contact_sheet import contact_sheet
from segdistill.data.formats.folder import folder
from segdistill.data.formats.scenes import scenes
from segdistill.errors import DataError


def test_shows_each_image_beside_its_mask_above_a_legend() -> None:
    data = scenes(split="val", size=(64, 96), val_images=3)
    sheet = contact_sheet(data, count=2, columns=1, width=96)
    assert sheet.dtype == np.uint8
    assert np.array_equal(sheet[:64, :96], data[0].image)
    mask = data[0].mask
    assert mask is not None
    colors = np.array(data.classes.colors, dtype=np.uint8)
    assert np.array_equal(sheet[:64, 96:192], colors[mask])
    assert np.array_equal(sheet[70:134, :96], data[2].image)
    legend = sheet[140:].reshape(-1, 3)
    for color in data.classes.colors:
        assert (legend == color).all(axis=1).any()


def test_leaves_out_what_cannot_be_read_and_refuses_when_nothing_can(tree: Path) -> None:
    (tree / "train/images/0.png").write_bytes(b"broken")
    data = folder(split="train", root=tree)
    assert contact_sheet(data, count=9, columns=2, width=30).shape[0] == 2 * 26 + 3 * 16
    for index in range(1, 5):
        (tree / f"train/images/{index}.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="images that can be read, got none"):
        contact_sheet(data)
