"""Images that are in memory already, as RGB: arrays, tensors, and Pillow's."""

from __future__ import annotations

import numpy as np
from PIL import ImageOps
from PIL.Image import Image as Picture
from torch import Tensor

__all__ = ["Picture", "as_rgb"]


def as_rgb(caller: str, image: np.ndarray | Tensor | Picture) -> np.ndarray:
    """Return an image as 8-bit RGB; a Pillow image is turned upright.

    Args:
        caller: who refuses, the first word of a message.
        image: uint8, or floating-point in [0, 1].

    Shape:
        An array ``(H, W, 3)``, ``(H, W, 4)`` with transparency, which is dropped, or ``(H, W)``;
        a tensor ``(3, H, W)``; result uint8 ``(H, W, 3)``.

    Raises:
        TypeError: it is none of these, or of other numbers.
        ValueError: it has another shape, no pixels, or numbers outside [0, 1].
    """
    if isinstance(image, Picture):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(
                f"{caller}: expected one image (3, H, W), got a tensor {tuple(image.shape)}; give "
                "the images of a batch one by one"
            )
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).permute(1, 2, 0).numpy()
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"{caller}: expected a path, an array, a Pillow image or a tensor, got "
            f"{type(image).__name__}"
        )
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=2)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
        raise ValueError(
            f"{caller}: expected one image (H, W, 3), got an array {image.shape}; move the axis "
            "of colours to the end, and give the images of a batch one by one"
        )
    return _as_bytes(caller, image[..., :3])


def _as_bytes(caller: str, image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(
            f"{caller}: expected uint8 or floating-point numbers, got {image.dtype}; scale the "
            "image to [0, 1]"
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # also where one is nan
        raise ValueError(
            f"{caller}: expected floating-point numbers in [0, 1], got {low:g} to {high:g}; "
            "divide by the largest possible value, and leave normalisation to the network"
        )
    return np.round(image * 255).astype(np.uint8)
