"""What every network of ours expects of its images, and how it normalises them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def check_images(
    caller: str, images: Tensor, smallest: int, *, has_output_stride: bool = False
) -> None:
    """Refuse a tensor that is not a batch of RGB images, or whose images are too small.

    Args:
        caller: name of the network that refuses.
        images: float ``(N, 3, H, W)`` in [0, 1].
        smallest: the least height and width that are taken.
        has_output_stride: whether the network has the setting ``output_stride``.

    Raises:
        ValueError: the tensor is not ``(N, 3, H, W)``, not floating-point, or too small.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"{caller}: expected float images (N, 3, H, W) in [0, 1], got {images.dtype} "
            f"{tuple(images.shape)}; convert uint8 images with images.float() / 255"
        )
    if min(images.shape[2:]) < smallest:
        raise ValueError(
            f"{caller}: expected images of at least {smallest} pixels per side, which its head "
            f"needs at this stride, got {tuple(images.shape[2:])}; use a larger crop"
            + " or a smaller output_stride"
            * has_output_stride
        )


def register_normalisation(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Give a network the buffers ``mean`` and ``std``, which are saved with its weights.

    Args:
        network: gets the buffers ``(1, 3, 1, 1)``.
        mean: of red, green and blue in [0, 1].
        std: standard deviation in the same scale.
    """
    network.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
    network.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))
