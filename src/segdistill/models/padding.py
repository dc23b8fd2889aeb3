"""Padding: images made larger for a network that takes some sizes only, maps cut again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from segdistill.network_state import evaluating

# No two of them are padded to one size by any of the divisors: a fixed size is no divisor.
_TRIED = ((95, 129), (161, 530))
_DIVISORS = (2, 4, 8, 14, 16, 32, 64, 128, 224, 256, 384, 448, 512)


def pad(images: Tensor, divisor: int, *, square: bool = False) -> Tensor:
    """Pad images with zeros at the right and at the bottom to a size that a network takes.

    Args:
        images: normalised, so that zeros are the mean colour.
        divisor: divides their sides then.
        square: their sides are equal then.

    Shape:
        images ``(N, C, H, W)``.
    """
    height, width = images.shape[2:]
    if square:
        side = max(height, width)
        side += _missing(side, divisor)
        return F.pad(images, (0, side - width, 0, side - height))
    if divisor == 1:
        return images
    return F.pad(images, (0, _missing(width, divisor), 0, _missing(height, divisor)))


def cut(maps: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """Cut off the part of a map that belongs to padding.

    Args:
        maps: of the padded images.
        size: height and width of the images.
        padded: those that they were padded to.

    Shape:
        maps ``(N, C, h, w)``.
    """
    height = maps.shape[2] - (padded[0] - size[0]) * maps.shape[2] // padded[0]
    width = maps.shape[3] - (padded[1] - size[1]) * maps.shape[3] // padded[1]
    # narrow, even over the whole map: folding must see that the map is read here.
    return maps.narrow(2, 0, height).narrow(3, 0, width)


def needed_divisor(
    network: nn.Module,
    *,
    square: bool = False,
    stride: int = 1,
    fits: Callable[[Any], bool] | None = None,
) -> int | None:
    """Return what must divide the sides of images that a network is to take.

    The network runs on torch's meta device at sizes that nothing divides, and then at these
    sizes padded more and more, so nothing is computed.

    Args:
        network: it is not changed.
        square: the images are padded to squares as well.
        stride: a divisor that is tried before smaller ones.
        fits: whether an output is right, where a network may answer a wrong size with wrong maps.

    Returns:
        The first divisor with which it runs at any size; None if there is none, or where
        the meta device cannot tell.
    """
    divisors = (1, stride, *_DIVISORS)
    return next((divisor for divisor in divisors if _runs(network, divisor, square, fits)), None)


def _runs(
    network: nn.Module, divisor: int, square: bool, fits: Callable[[Any], bool] | None
) -> bool:
    # Each module once, and its weights untied: torch leaves those of a shared module exchanged.
    state = {
        f"{name}.{key}".removeprefix("."): torch.empty_like(tensor, device="meta")
        for name, module in network.named_modules()
        for key, tensor in (
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        )
    }
    try:
        with evaluating(network), torch.no_grad():
            for size in _TRIED:
                images = pad(torch.empty(1, 3, *size, device="meta"), divisor, square=square)
                output = functional_call(network, state, (images,), tie_weights=False)
                if fits is not None and not fits(output):
                    return False
    except Exception:  # a foreign network may refuse a size with any error
        return False
    return True


def _missing(size: int, divisor: int) -> int:
    # Never negative: ONNX rounds and takes remainders of those differently.
    return (divisor - size % divisor) % divisor
