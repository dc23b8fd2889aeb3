"""Regions of pixels: a part lands where it belongs, and is cut off at the image."""

import numpy as np
import pytest

from segdistill.data.convert.polygons import fill_part


@pytest.mark.parametrize(
    ("left", "top"), [(1, 1), (-1, 0), (0, -2), (-2, -1), (4, 2), (3, 3), (-9, 0), (0, 9)]
)
def test_a_part_is_cut_off_at_the_image(left: int, top: int) -> None:
    part = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]], dtype=bool)
    expected = np.zeros((4, 5), dtype=bool)
    for row, column in zip(*part.nonzero(), strict=True):
        if 0 <= row + top < 4 and 0 <= column + left < 5:
            expected[row + top, column + left] = True
    assert np.array_equal(fill_part((4, 5), part, left, top), expected)
