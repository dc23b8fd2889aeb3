"""Lossless tiles: any window of any image comes back as it was, from its own tiles alone."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdistill.data.pack.tiles import (
    TILE,
    Window,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    tile_windows,
    touched,
)

SIZES = [(1, 1), TILE, (TILE[0] + 1, TILE[1] + 1), (150, 30), (20, 600), (360, 480)]


def coded(array: np.ndarray) -> dict[int, memoryview]:
    encode = encode_image if array.ndim == 3 else encode_mask
    return {number: memoryview(tile) for number, tile in enumerate(encode(array))}


@pytest.mark.parametrize("size", SIZES)
def test_whole_images_and_masks_come_back(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    mask = rng.integers(0, 256, size, dtype=np.uint8)
    whole = Window(0, 0, *size)
    assert np.array_equal(decode_image(coded(image), size, whole), image)
    assert np.array_equal(decode_mask(coded(mask), size, whole), mask)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_window_needs_only_the_tiles_that_it_touches(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 200)), data.draw(st.integers(1, 600))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    numbers = touched((height, width), window)
    tiles = coded(image)
    assert set(numbers) <= set(tiles)
    rows, columns = slice(top, top + window.height), slice(left, left + window.width)
    few = {number: tiles[number] for number in numbers}
    part = decode_image(few, (height, width), window)[rows, columns]
    assert np.array_equal(part, image[rows, columns])
    mask = image[..., 0]
    few = {number: coded(mask)[number] for number in numbers}
    assert np.array_equal(
        decode_mask(few, (height, width), window)[rows, columns], mask[rows, columns]
    )


def test_tiles_cover_an_image_once() -> None:
    covered = np.zeros((150, 600), dtype=int)
    for top, left, height, width in tile_windows(covered.shape):
        covered[top : top + height, left : left + width] += 1
    assert (covered == 1).all()
    assert touched((150, 600), Window(63, 255, 2, 2)) == [0, 1, 3, 4]
    assert touched((150, 600), Window(64, 256, 1, 1)) == [4]


def test_smooth_images_take_less_than_raw_and_masks_very_little() -> None:
    rows, columns = np.mgrid[:256, :512]
    grey = 120 + 60 * np.sin(rows / 40) + 50 * np.cos(columns / 60)
    noise = np.random.default_rng(0).normal(0, 3, grey.shape)
    image = np.stack([grey + noise + shift for shift in (0, 9, 20)], axis=-1).astype(np.uint8)
    assert sum(map(len, encode_image(image))) < 0.55 * image.size
    mask = (grey // 30).astype(np.uint8)
    assert sum(map(len, encode_mask(mask))) < 0.05 * mask.size


def test_changed_bytes_are_noticed() -> None:
    tile = bytearray(next(iter(encode_mask(np.arange(64, dtype=np.uint8).reshape(8, 8)))))
    tile[-1] ^= 1
    with pytest.raises(zlib.error):
        decode_mask({0: memoryview(tile)}, (8, 8), Window(0, 0, 8, 8))
