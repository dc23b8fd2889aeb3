"""Label Studio's brush: a stream that its own SDK wrote, and streams that are broken."""

import numpy as np
import pytest

from segdistill.data.convert.brush_rle import decode_brush

# brush.mask2rle of label-studio-sdk 2.1.2 for the region below.
STREAM = [
    0, 0, 0, 140, 57, 27, 254, 35, 0, 191, 255, 108, 2, 63, 248, 192, 39, 255, 182, 1, 127, 254,
    48, 8, 255, 240, 184, 0,
]  # fmt: skip


def test_reads_what_label_studios_own_encoder_wrote() -> None:
    region = np.zeros((5, 7), bool)
    region[1:4, 2:6] = True
    region[2, 3] = False
    region[4, 0] = True
    assert np.array_equal(decode_brush(STREAM, (5, 7)), region)


@pytest.mark.parametrize(
    ("stream", "size", "message"),
    [
        (STREAM[:20], (5, 7), "got the end of the stream"),
        ([], (5, 7), "got the end of the stream"),
        (STREAM, (7, 7), r"expected 196 values for an image of \(7, 7\), got 140"),
        ([255] * 30, (5, 7), "expected 140 values"),
        ([0, 0, 0, 4, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], (1, 1), "expected 4 values, got a run"),
    ],
)
def test_refuses_broken_streams(stream: list[int], size: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_brush(stream, size)
