"""Proof: a rewritten network is used only where it gives the maps that the network gave."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from segdistill.types import TapMaps

BOUND = 1e-4
"""Largest relative error of a rewriting that differs only in rounding, in float32.

Correct rewritings of the families in ``tests/models/test_fold.py`` stay below 1e-5, which
leaves room for deeper networks; a norm in the wrong place gives 1e-2 and more.
"""

Case = tuple[Tensor, TapMaps]
"""Images, and the maps that a network gives for them."""


def observe(run: Callable[[Tensor], TapMaps], image: Tensor) -> list[Case]:
    """Return what a network gives for a real image and for noise, which has all colours.

    The noise has about half the image's height and width, which is another size and cheap;
    where the network refuses that, it has the image's.

    Args:
        run: from images to maps.
        image: ``(1, 3, H, W)``, a real one.

    Raises:
        Exception: whatever the network raises for the real image.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = image.shape[2:]
    with torch.no_grad(), full_precision(image.device):
        cases = [(image, run(image))]
        for size in ((-(-height // 64) * 32, -(-width // 64) * 32), (height, width)):
            noise = torch.rand(1, 3, *size, generator=generator).to(image)
            try:
                cases.append((noise, run(noise)))
            except Exception:  # a foreign network may refuse a size with any error
                continue
            break
    return cases


def proven(
    network: nn.Module,
    rewrite: Callable[[nn.Module], object],
    run: Callable[[nn.Module, Tensor], TapMaps],
    cases: Sequence[Case],
) -> tuple[nn.Module, str]:
    """Return a rewritten copy of a network where it gives the same maps, else the network.

    Args:
        network: not changed.
        rewrite: changes the copy in place.
        run: how the rewritten network is run.
        cases: images with the maps to give, from :func:`observe`.

    Returns:
        The network to use, and why it is not the rewritten one: empty if it is.
    """
    try:
        with torch.no_grad(), full_precision(cases[0][0].device):
            candidate = copy.deepcopy(network)
            rewrite(candidate)
            for images, expected in cases:
                name, error = largest_error(run(candidate, images), expected)
                if not error <= BOUND:
                    size = "x".join(map(str, images.shape[2:]))
                    return network, (
                        f"tap '{name}' would differ by {error:.2g} of its largest value on an "
                        f"image of {size}, where rounding explains {BOUND:g}"
                    )
    except Exception as error:  # a rewritten foreign network may fail with any error
        reason = next(iter(str(error).strip().splitlines()), "no message")
        return network, f"it would fail with {type(error).__name__}: {reason}"
    return candidate, ""


def largest_error(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[str, float]:
    """Return which map differs most, and its largest difference by its largest value.

    Maps of another shape, or with a value that is no number, are infinitely far.
    """
    errors = {name: _error(given[name].double(), maps.double()) for name, maps in expected.items()}
    worst = max(errors, key=errors.__getitem__)
    return worst, errors[worst]


def _error(given: Tensor, expected: Tensor) -> float:
    if given.shape != expected.shape:
        return math.inf
    difference = (given - expected).abs().max().item()
    largest = expected.abs().max().item()
    if difference == 0:
        return 0.0
    return difference / largest if largest > 0 and math.isfinite(difference) else math.inf


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in float32 inside the ``with`` block: no autocast, no TF32 or bfloat16 inside.

    These round a thousand times more coarsely than float32 and would hide a wrong rewriting.
    """
    torch_backends: Any = torch.backends
    backends = [
        torch_backends.cuda.matmul,
        torch_backends.cudnn.conv,
        torch_backends.mkldnn.matmul,
        torch_backends.mkldnn.conv,
    ]
    before = [backend.fp32_precision for backend in backends]
    matmul = torch.get_float32_matmul_precision()
    try:
        # torch refuses to multiply where this older switch and the newer ones disagree.
        torch.set_float32_matmul_precision("highest")
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
