"""Parity: does an exported file compute the same as the network, at any image size?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.delivery.opened import OpenedFile, RuntimeRefusalError
from segdistill.network_state import device_of, evaluating
from segdistill.types import SegOutput


@dataclass(frozen=True)
class Parity:
    """The differences between a file and its network at one image size.

    Attributes:
        size: height and width.
        largest_difference: largest absolute difference of the logits; None for a mask.
        agreement: share of pixels with the same class.
        failure: why the file did not run; empty if it did.
    """

    size: tuple[int, int]
    largest_difference: float | None
    agreement: float
    failure: str = ""


def other_sizes(size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return three sizes other than that for tracing; the last is divisible by no stride."""
    height, width = size
    return (
        (height + 64, width + 32),
        (max(height - 32, 32) if height > 64 else height + 32, width + 64),
        (height + 37, width + 51),
    )


def compare(
    network: nn.Module,
    file: OpenedFile,
    sizes: Sequence[tuple[int, int]],
    *,
    image: Tensor | None = None,
    seed: int = 0,
) -> list[Parity]:
    """Run a file and its network on one image of each size, and compare them.

    A file that is right at the size of tracing may be wrong at others, so also try the sizes of
    :func:`other_sizes`.

    Args:
        network: the network; its mode is restored.
        file: the file, opened in its runtime.
        sizes: heights and widths to try.
        image: a real image, which is resized; by default noise, on which classes have similar
            scores.
        seed: seed of the noise.

    Shape:
        image ``(1, 3, H, W)``, float in [0, 1].

    Returns:
        One record per size; if the file does not run, the difference is infinite and the
        runtime's message is included.
    """
    generator = torch.Generator().manual_seed(seed)
    results = []
    for size in sizes:
        if image is None:
            given = torch.rand(1, 3, *size, generator=generator)
        else:
            given = F.interpolate(image, size, mode="bilinear", antialias=True).clamp(0, 1)
        if file.contract.images == "uint8":
            given = (given * 255).round() / 255
        try:
            output: SegOutput = file(given)
        except RuntimeRefusalError as error:
            results.append(Parity(size, math.inf, 0.0, str(error)))
            continue
        results.append(_compare(size, file.contract.output, output.logits, _logits(network, given)))
    return results


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    with evaluating(network), torch.no_grad():
        output: SegOutput = network(images.to(device_of(network)))
    return output.logits.float().cpu()


def _compare(size: tuple[int, int], output: str, given: Tensor, expected: Tensor) -> Parity:
    if given.shape[2:] != expected.shape[2:]:
        expected = F.interpolate(expected, given.shape[2:], mode="bilinear", align_corners=False)
    same = given.argmax(dim=1) == expected.argmax(dim=1)
    difference = (given - expected).abs().max().item() if output == "logits" else None
    return Parity(size, difference, same.float().mean().item())
