"""The run lengths of Label Studio's brush: a stream of bits, four values a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segdistill.data.convert.records import Size

_CHANNELS = 4


def decode_brush(stream: Sequence[int], size: Size) -> np.ndarray:
    """Return the pixels that a brush covered.

    The stream is 32 bits of how many values follow, 5 of their width less one, four times 4 of
    the widths of run lengths less one; then blocks: a bit that says whether the block is one
    value repeated, 2 bits that choose a width, the length less one in that width, and one value
    or as many as the length. The values are those of RGBA pixels; alpha above 0 is covered.

    Args:
        stream: bytes, as numbers.
        size: height and width of the image.

    Shape:
        Result bool ``(H, W)``.

    Raises:
        ValueError: the stream ends early, or contains another number of values.

    Source:
        ``decode`` of @thi.ng/rle-pack, which Label Studio writes with:
        https://github.com/thi-ng/umbrella/blob/develop/packages/rle-pack/src/index.ts
    """
    data = bytes(stream)
    total = 8 * len(data)
    at = 0

    def take(bits: int) -> int:
        nonlocal at
        if at + bits > total:
            raise ValueError("expected more run lengths, got the end of the stream")
        first, last = at // 8, (at + bits + 7) // 8
        value = int.from_bytes(data[first:last], "big") >> (8 * last - at - bits)
        at += bits
        return value & ((1 << bits) - 1)

    count = take(32)
    expected = size[0] * size[1] * _CHANNELS
    if count != expected:
        raise ValueError(f"expected {expected} values for an image of {size}, got {count}")
    width = take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    values = np.zeros(count, dtype=np.uint32)
    done = 0
    while done < count:
        repeated = take(1)
        end = done + 1 + take(lengths[take(2)])
        if end > count:
            raise ValueError(f"expected {count} values, got a run to {end}")
        if repeated:
            values[done:end] = take(width)
        else:
            values[done:end] = [take(width) for _ in range(end - done)]
        done = end
    covered: np.ndarray = values.reshape(*size, _CHANNELS)[..., 3] > 0
    return covered
