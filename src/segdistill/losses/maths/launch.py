"""Which sums over resized logits take one Triton kernel on a GPU in place of tiles."""

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

Kernel = Callable[[ModuleType, bool], tuple[Tensor, Tensor | None]]
"""From the module of the kernels, and whether the gradient is needed, to the sum in float64 and
its gradient for the logits."""

_DEVICE = "cuda"
_TYPES = (torch.float32, torch.float16, torch.bfloat16)
_FROM, _TO = 2, 32  # times as long as the maps: below, tiles need less memory; beyond, registers

_failed = False  # in this process


def fits_kernel(size: tuple[int, int], *maps: Tensor) -> bool:
    """Return whether maps, resized to a size, are what the kernels are written for.

    They are on a GPU, no wider than float32, of one size, and become 2 to 32 times as high and as
    wide.
    """
    first = maps[0]
    return all(
        one.device == first.device
        and one.device.type == _DEVICE
        and one.dtype in _TYPES
        and one.shape[2:] == first.shape[2:]
        for one in maps
    ) and all(
        _FROM * pixels <= length <= _TO * pixels
        for pixels, length in zip(first.shape[2:], size, strict=True)
    )


def launch(kernel: Kernel, needs_gradient: bool) -> tuple[Tensor, Tensor | None] | None:
    """Return what a kernel finds, or None where Triton is missing or cannot run it.

    A kernel is compiled when it is first used, which needs a compiler for C among others. Where
    this fails, it is said once, and tiles, which give the same values, are used from then on.
    """
    global _failed
    if _failed or importlib.util.find_spec("triton") is None:
        return None
    try:
        kernels = importlib.import_module("segdistill.losses.maths.tiled_triton")
        return kernel(kernels, needs_gradient)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # of Triton, its compilers and drivers: there is no common type
        _failed = True
        warnings.warn(
            "segdistill: expected Triton to run the losses at full size in one kernel, got "
            f"{type(error).__name__}: {error}; they are computed tile by tile, more slowly",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
