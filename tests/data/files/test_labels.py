"""What mask values mean: ids and colours, and the refusals that show them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from segdistill.data.files.labels import ColorCode, IdCode, plain_ids
from segdistill.errors import DataError

FILE = Path("some/mask.png")


def test_ids_are_looked_up_and_255_means_no_class() -> None:
    code = IdCode({7: 0, 8: 1, 300: 2, 0: 255})
    stored = np.array([[7, 8], [0, 300]], dtype=np.int32)
    assert code.decode(stored, FILE).tolist() == [[0, 1], [255, 2]]
    assert plain_ids(2).decode(np.array([[0, 1, 255]], dtype=np.uint8), FILE).tolist() == [
        [0, 1, 255]
    ]


def test_refuses_an_id_that_is_no_class_with_file_value_and_count() -> None:
    stored = np.array([[0, 3, 3], [7, 1, 2]], dtype=np.uint8)
    with pytest.raises(DataError) as error:
        plain_ids(3).decode(stored, FILE)
    assert str(error.value).startswith(
        "some/mask.png: expected class ids 0 to 2 and 255, got 3 (2 pixels), 7 (1 pixels);"
    )


@pytest.mark.parametrize("value", [-1, 256, 70000])
def test_refuses_wide_ids_outside_the_table(value: int) -> None:
    with pytest.raises(DataError, match=rf"got {value} \(1 pixels\)"):
        plain_ids(3).decode(np.array([[0, value]], dtype=np.int32), FILE)


def test_refuses_colours_where_ids_are_expected_and_shows_them() -> None:
    stored = np.zeros((2, 2, 3), dtype=np.uint8)
    stored[0, 0] = (128, 64, 32)
    with pytest.raises(
        DataError, match=r"got RGB colours \(0, 0, 0\) on 3 pixels, \(128, 64, 32\)"
    ):
        plain_ids(3).decode(stored, FILE)


def test_three_equal_channels_are_read_as_one() -> None:
    ids = np.array([[0, 2], [255, 1]], dtype=np.uint8)
    assert np.array_equal(plain_ids(3).decode(np.stack([ids] * 3, axis=2), FILE), ids)


def test_refuses_ids_where_colours_are_expected() -> None:
    with pytest.raises(
        DataError, match="expected a mask of RGB colours, got a grey file of the ids 0, 4"
    ):
        ColorCode({(0, 0, 0): 0}).decode(np.array([[0, 4]], dtype=np.uint8), FILE)


def test_refuses_a_colour_that_is_no_class_with_its_count() -> None:
    stored = np.full((2, 3, 3), 9, dtype=np.uint8)
    stored[0, 0] = (1, 2, 3)
    with pytest.raises(DataError, match=r"got \(9, 9, 9\) on 5 pixels"):
        ColorCode({(1, 2, 3): 0}).decode(stored, FILE)


@given(stn.arrays(np.uint8, stn.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 3)))
def test_colours_decode_to_what_they_were_painted_from(ids: np.ndarray) -> None:
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 255), (254, 255, 255)], dtype=np.uint8)
    trains = [2, 0, 1, 255]
    code = ColorCode({tuple(map(int, c)): t for c, t in zip(colors, trains, strict=True)})
    assert np.array_equal(code.decode(colors[ids], FILE), np.array(trains)[ids])
