"""What every network of ours expects of its images."""

from __future__ import annotations

from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def check_images(caller: str, images: Tensor, smallest: int) -> None:
    """Refuse a tensor that is no batch of RGB images, or of images that are too small.

    Args:
        caller: name of the network that refuses.
        images: float ``(N, 3, H, W)`` in [0, 1].
        smallest: the least height and width.

    Raises:
        ValueError: it is something else.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"{caller}: expected float images (N, 3, H, W) in [0, 1], got {images.dtype} "
            f"{tuple(images.shape)}; convert uint8 images with images.float() / 255"
        )
    if min(images.shape[2:]) < smallest:
        raise ValueError(
            f"{caller}: expected images of at least {smallest} pixels a side, which its head "
            f"needs at this stride, got {tuple(images.shape[2:])}; use a larger crop or a "
            "smaller output_stride"
        )
