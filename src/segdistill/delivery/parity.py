"""Parity: whether an exported file computes what the network does, at any image size."""

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
    """How far a file is from its network at one image size.

    Attributes:
        size: height and width.
        largest_difference: of the logits, absolute; None where the file gives the mask alone.
        agreement: share of pixels with the same class.
        failure: why the file did not run, empty where it did.
    """

    size: tuple[int, int]
    largest_difference: float | None
    agreement: float
    failure: str = ""


def other_sizes(size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return three sizes that a file was not traced with; the last fits no stride."""
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
    """Run a file and the network it was made from on one image of each size, and compare.

    A file that is right at the traced size may be wrong at another, so give others: see
    :func:`other_sizes`.

    Args:
        network: the network; its mode is restored.
        file: opened in its runtime.
        sizes: heights and widths to try.
        image: a real one, resized to each size; noise by default, where classes are close to
            each other.
        seed: of the noise.

    Shape:
        image ``(1, 3, H, W)``, float in [0, 1].

    Returns:
        One record per size; where the file does not run, the difference is infinite and the
        runtime's reason is given.
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
