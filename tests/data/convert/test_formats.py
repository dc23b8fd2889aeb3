"""Every format: recognised by itself, and read to the pixel."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.api.convert import convert, detect
from segdistill.catalogue.conversions import CONVERSIONS
from segdistill.data.convert.export import Export
from segdistill.data.formats.folder import folder

from .exports import EXPORTS, Expected, brush_png


def check(out: Path, expected: Expected) -> None:
    masks = {}
    for split in {split for split, _ in expected.masks}:
        data = folder(split=split, root=out)
        assert data.classes.names == expected.names
        samples = [data[index] for index in range(len(data))]
        assert all(sample.image.shape[:2] == sample.mask.shape for sample in samples)
        masks |= {(split, sample.name): sample.mask for sample in samples}
    assert masks.keys() == expected.masks.keys()
    for key, mask in masks.items():
        assert np.array_equal(mask, expected.masks[key]), key


def test_every_row_of_the_table_has_an_export_here() -> None:
    assert EXPORTS.keys() == CONVERSIONS.keys()


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_recognised_and_read_to_the_pixel(name: str, tmp_path: Path) -> None:
    expected = EXPORTS[name](tmp_path / "export")
    made = convert(tmp_path / "export", tmp_path / "out")
    assert made.format == name
    assert made.written.broken == []
    check(tmp_path / "out", expected)


def test_the_brushs_png_files_are_one_mask(tmp_path: Path) -> None:
    expected = brush_png(tmp_path / "export")
    assert convert(tmp_path / "export", tmp_path / "out").format == "label_studio"
    check(tmp_path / "out", expected)


@pytest.mark.parametrize("name", EXPORTS)
def test_what_was_converted_is_no_export(name: str, tmp_path: Path) -> None:
    EXPORTS[name](tmp_path / "export")
    convert(tmp_path / "export", tmp_path / "out")
    assert detect(Export(tmp_path / "out")) == ""
