"""Parity: whether an exported file computes what the network does, at any image size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.delivery.onnx import INPUT
from segdistill.network_state import device_of, evaluating
from segdistill.types import SegOutput


@dataclass(frozen=True)
class Parity:
    """How far a file is from its network at one image size.

    Attributes:
        size: height and width.
        largest_difference: of the logits, absolute.
        agreement: share of pixels with the same class.
        failure: why the file did not run, empty where it did.
    """

    size: tuple[int, int]
    largest_difference: float
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


def compare_onnx(
    network: nn.Module, path: Path | str, sizes: Sequence[tuple[int, int]], *, seed: int = 0
) -> list[Parity]:
    """Run an ONNX file and the network it was made from on noise, and compare.

    A file that is right at the traced size may be wrong at another, so give others: see
    :func:`other_sizes`.

    Args:
        network: the network; its mode is restored.
        path: the file, from :func:`segdistill.delivery.onnx.export_onnx`.
        sizes: heights and widths to try.
        seed: of the noise.

    Returns:
        One record per size; where the file does not run, the difference is infinite and the
        runtime's reason is given.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import onnxruntime  # type: ignore[import-untyped]
    from onnxruntime.capi.onnxruntime_pybind11_state import (  # type: ignore[import-untyped]
        Fail,
        InvalidArgument,
        RuntimeException,
    )

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"compare_onnx: expected a file at {path}, got none")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(seed)
    results = []
    for size in sizes:
        images = torch.rand(1, 3, *size, generator=generator)
        try:
            (given,) = session.run(None, {INPUT: images.numpy()})
        except (Fail, InvalidArgument, RuntimeException) as error:
            results.append(Parity(size, math.inf, 0.0, _reason(error)))
            continue
        results.append(_compare(size, torch.from_numpy(given), _logits(network, images)))
    return results


def _reason(error: Exception) -> str:
    """Return what onnxruntime says, on one line and without its own line numbers in C++."""
    return " ".join(str(error).split())[:300]


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    with evaluating(network), torch.no_grad():
        output: SegOutput = network(images.to(device_of(network)))
    return output.logits.float().cpu()


def _compare(size: tuple[int, int], given: Tensor, expected: Tensor) -> Parity:
    if given.shape[2:] != expected.shape[2:]:
        expected = F.interpolate(expected, size, mode="bilinear", align_corners=False)
    same = given.argmax(dim=1) == expected.argmax(dim=1)
    return Parity(size, (given - expected).abs().max().item(), same.float().mean().item())
