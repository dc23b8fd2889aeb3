"""A sum over the positions of resized logits, whose gradient stays at the logits' own stride."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.launch import Kernel, launch
from segdistill.upsampling import Resizing, Tile, in_the_limit, tiles

OnTile = Callable[[Tensor, slice, Tile], tuple[Tensor, Tensor]]
"""From the resized logits of a tile (1, K, rows, columns), the image and the tile to their sum
and its gradient for these logits, which are read only."""


def sum_over_tiles(
    function: OnTile,
    logits: Tensor,
    size: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float32,
    kernel: Kernel | None = None,
) -> Tensor:
    """Return the sum of a function over tiles of bilinearly resized logits.

    A tile's logits and gradient are computed, used and freed while they are in the cache; the
    gradient is accumulated at the logits' own stride, where backward scales it. So memory does not
    grow with the size, and the sum is not twice differentiable.

    Args:
        function: computes the value and gradient of one tile.
        logits: logits at their own stride.
        size: height and width to resize them to.
        dtype: the lowest precision of the tiles and the sum.
        kernel: computes the same sum in one launch; it is used in place of tiles where it can run.

    Shape:
        logits ``(N, K, h, w)``; result ``()``.

    Returns:
        The sum, float32 or wider; tiles are added up in float64.
    """
    dtype = torch.promote_types(dtype, logits.dtype)

    def compute(needs_gradient: bool) -> tuple[Tensor, Tensor | None]:
        found = None if kernel is None else launch(kernel, needs_gradient)
        return found or _over_tiles(function, logits, size, dtype, needs_gradient)

    total: Tensor = _Sum.apply(logits, compute, dtype)  # type: ignore[no-untyped-call]
    return total


def resizing_of(maps: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Resizing:
    """Return the resizing of ``(N, K, h, w)`` maps to a size, in the given precision."""
    like = maps.new_empty(0, dtype=dtype)
    return Resizing((maps.shape[2], maps.shape[3]), size, like=like)


def _over_tiles(
    function: OnTile,
    logits: Tensor,
    size: tuple[int, int],
    dtype: torch.dtype,
    needs_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    resizing = resizing_of(logits, size, dtype)
    total = logits.new_zeros((), dtype=torch.float64)
    gradient = torch.zeros_like(logits, dtype=dtype) if needs_gradient else None
    for n in range(len(logits)):
        image = slice(n, n + 1)
        for tile in tiles(size, logits.shape[1], logits.device):
            part = (image, slice(None), *resizing.source(tile))
            values = resizing.enlarge(logits[part].to(dtype), tile)
            value, slope = function(values, image, tile)
            total += value
            if gradient is not None:
                gradient[part] += resizing.give_back(slope, tile)
    return total, gradient


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        compute: Callable[[bool], tuple[Tensor, Tensor | None]],
        dtype: torch.dtype,
    ) -> Tensor:
        total, gradient = compute(ctx.needs_input_grad[0])
        ctx.dtype = logits.dtype
        ctx.save_for_backward(gradient)
        return in_the_limit(total).to(dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).to(ctx.dtype), None, None
