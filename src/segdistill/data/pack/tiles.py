"""Lossless tiles: images in pieces that are compressed one by one, so a crop decodes few.

Each tile of an image is stored as differences: red and blue less green, then each row less the
row above. What is left is small noise, for which a Huffman code without string matching is as
short as deflate's best and several times faster to make. Masks have long runs, so for them
deflate matches strings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

TILE = (64, 256)
"""Height and width of a tile, px: 48 kB of an image, 2 to 10 % more is decoded than wanted."""


class Window(NamedTuple):
    """A rectangle of an image, px."""

    top: int
    left: int
    height: int
    width: int


def encode_image(image: np.ndarray) -> Iterator[bytes]:
    """Compress an image tile by tile, row of tiles after row of tiles.

    Shape:
        image uint8 ``(H, W, 3)``.
    """
    for window in tile_windows(image.shape[:2]):
        tile = np.array(_cut(image, window))
        tile[..., 0] -= tile[..., 1]
        tile[..., 2] -= tile[..., 1]
        tile[1:] -= tile[:-1].copy()
        coder = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
        yield coder.compress(tile.tobytes()) + coder.flush()


def encode_mask(mask: np.ndarray) -> Iterator[bytes]:
    """Compress a mask tile by tile.

    Shape:
        mask uint8 ``(H, W)``.
    """
    for window in tile_windows(mask.shape):
        yield zlib.compress(np.ascontiguousarray(_cut(mask, window)).tobytes(), 6)


def decode_image(tiles: dict[int, memoryview], size: tuple[int, int], wanted: Window) -> np.ndarray:
    """Decode the tiles that a window touches.

    Args:
        tiles: compressed tiles by number, at least those of :func:`touched`.
        size: height and width of the image.
        wanted: pixels that have to be right; the others are undefined.

    Shape:
        Result uint8 ``(H, W, 3)``.

    Raises:
        zlib.error: a tile is broken.
        ValueError: a tile is of another size.
    """
    # Pages that no tile is written to cost no memory.
    image = np.empty((*size, 3), dtype=np.uint8)
    _fill(image, tiles, size, wanted)
    rows = slice(wanted.top, wanted.top + wanted.height)
    columns = slice(wanted.left, wanted.left + wanted.width)
    # All tiles side by side at once: additions of whole rows are what a CPU does fastest.
    start = wanted.top - wanted.top % TILE[0]
    for row in range(start, rows.stop):
        if row % TILE[0]:
            np.add(image[row, columns], image[row - 1, columns], out=image[row, columns])
    part = image[rows, columns]
    green = part[..., 1]
    part[..., 0] += green
    part[..., 2] += green
    return image


def decode_mask(tiles: dict[int, memoryview], size: tuple[int, int], wanted: Window) -> np.ndarray:
    """Decode the tiles of a mask that a window touches; see :func:`decode_image`.

    Shape:
        Result uint8 ``(H, W)``.
    """
    mask = np.empty(size, dtype=np.uint8)
    _fill(mask, tiles, size, wanted)
    return mask


def tile_windows(size: tuple[int, ...]) -> list[Window]:
    """Return the tiles of an image of that height and width; those at the edges are smaller."""
    height, width = size[:2]
    return [
        Window(top, left, min(TILE[0], height - top), min(TILE[1], width - left))
        for top in range(0, height, TILE[0])
        for left in range(0, width, TILE[1])
    ]


def touched(size: tuple[int, int], wanted: Window) -> list[int]:
    """Return the numbers of the tiles that a window touches."""
    across = -(-size[1] // TILE[1])
    rows = range(wanted.top // TILE[0], (wanted.top + wanted.height - 1) // TILE[0] + 1)
    columns = range(wanted.left // TILE[1], (wanted.left + wanted.width - 1) // TILE[1] + 1)
    return [row * across + column for row in rows for column in columns]


def _fill(
    array: np.ndarray, tiles: dict[int, memoryview], size: tuple[int, int], wanted: Window
) -> None:
    windows = tile_windows(size)
    for number in touched(size, wanted):
        target = _cut(array, windows[number])
        # No more than the size of the tile, whatever the file would unpack to.
        inflater = zlib.decompressobj()
        data = inflater.decompress(tiles[number], target.size + 1)
        if not inflater.eof:
            raise zlib.error("a tile of another size, or cut off")
        target[:] = np.frombuffer(data, dtype=np.uint8).reshape(target.shape)


def _cut(array: np.ndarray, window: Window) -> np.ndarray:
    return array[window.top : window.top + window.height, window.left : window.left + window.width]
