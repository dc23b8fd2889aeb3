"""Images in memory: every kind gives the same RGB, and what is no image is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from segdistill.data.files.in_memory import as_rgb

RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        RGB / 255,
        (RGB / 255).astype(np.float32),
        np.dstack([RGB, np.zeros((4, 6), dtype=np.uint8)]),
        Image.fromarray(RGB),
        Image.fromarray(RGB).convert("RGBA"),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1) / 255,
    ],
    ids=["uint8", "float64", "float32", "rgba", "pillow", "pillow rgba", "tensor", "float tensor"],
)
def test_every_kind_of_image_is_the_same_rgb(image: object) -> None:
    assert np.array_equal(as_rgb("predict", image), RGB)


def test_grey_becomes_three_equal_colours() -> None:
    grey = as_rgb("predict", RGB[..., 0])
    assert np.array_equal(grey, RGB[..., [0, 0, 0]])


def test_a_photo_is_turned_as_its_camera_noted() -> None:
    photo = Image.fromarray(RGB)
    photo.getexif()[0x0112] = 6
    assert np.array_equal(as_rgb("predict", photo), np.rot90(RGB, -1))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (RGB.transpose(2, 0, 1), r"expected one image \(H, W, 3\), got an array \(3, 4, 6\)"),
        (RGB[None], "give the images of a batch one by one"),
        (RGB[:0], "expected one image"),
        (torch.zeros(2, 3, 4, 6), r"expected one image \(3, H, W\), got a tensor \(2, 3, 4, 6\)"),
        (RGB.astype(np.float32), r"expected floating-point numbers in \[0, 1\], got 0|got 1 to"),
        (np.full((4, 6, 3), np.nan), "got nan to nan"),
        (RGB.astype(np.int64), "expected uint8 or floating-point numbers, got int64"),
        ([1, 2], "expected a path, an array, a Pillow image or a tensor, got list"),
    ],
)
def test_what_is_no_image_is_refused(image: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"predict: .*{message}"):
        as_rgb("predict", image)
