"""A sum over separately compared parts of two maps, its gradient computed part by part."""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.positions import leave_out
from segdistill.losses.maths.precision import full_precision

WithSlope = Callable[..., tuple[Tensor, Tensor]]
"""From blocks of tensors to a sum and its gradient for the first of them."""

# Values per block: few enough for a processor's cache, enough to keep a GPU busy.
_VALUES = 2**17
_VALUES_ON_DEVICE = 2**24


def sum_over_blocks(
    function: Callable[..., Tensor],
    student: Tensor,
    teacher: Tensor,
    *others: Tensor,
    dim: int,
    valid: Tensor | None = None,
) -> Tensor:
    """Return the sum of a function over blocks of maps, using two maps of memory beyond the inputs.

    A loss that compares parts (rows, channels or images) separately needs its intermediate maps for
    only one block at a time. Autograd computes each block's gradient right after its value and
    stores it in one map, which backward scales; so the sum is not twice differentiable.

    Args:
        function: maps blocks of all tensors, the floating-point ones in float32 or wider, to the
            block's sum.
        student: the map that gets the gradient.
        teacher: the map it is compared with.
        others: tensors that vary along ``dim`` as the maps do; they get no gradient.
        dim: dimension along which parts are independent: 0 images, 1 channels, 2 rows.
        valid: True where a position counts; elsewhere the function sees 0 in both maps, and the
            gradient is 0.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The sum, float32 or wider; blocks are added up in float64.
    """
    others = (teacher.detach(), *(other.detach() for other in others))
    if torch.is_grad_enabled() and student.requires_grad:
        return _sum(student, _by_autograd(function), others, dim, valid)
    values = [
        function(leave_out(x, mask), leave_out(y, mask), *rest)
        for (x, y, *rest), mask in zip(
            blocks(student, *others, dim=dim), masks(student, dim, valid), strict=False
        )
    ]
    return torch.stack(values).double().sum().to(values[0].dtype)


def sum_with_slopes(
    function: WithSlope, student: Tensor, teacher: Tensor, *others: Tensor, dim: int
) -> Tensor:
    """Return :func:`sum_over_blocks` of a function that works out the gradient itself.

    Args:
        function: maps blocks of all tensors to the block's sum and its gradient for the first.
        student: see :func:`sum_over_blocks`.
        teacher: see :func:`sum_over_blocks`.
        others: see :func:`sum_over_blocks`.
        dim: see :func:`sum_over_blocks`.
    """
    others = (teacher.detach(), *(other.detach() for other in others))
    if torch.is_grad_enabled() and student.requires_grad:
        return _sum(student, function, others, dim, None)
    values = [function(x.detach(), *rest)[0] for x, *rest in blocks(student, *others, dim=dim)]
    return torch.stack(values).double().sum().to(values[0].dtype)


def blocks(*tensors: Tensor, dim: int) -> Iterator[list[Tensor]]:
    """Yield matching blocks of tensors along a dimension, floating-point ones in full precision.

    Args:
        tensors: tensors that vary along ``dim`` together; the first determines the size of the
            blocks.
        dim: the dimension to split.
    """
    size = _size(tensors[0], dim)
    for block in zip(*(torch.split(tensor, size, dim) for tensor in tensors), strict=True):
        floating = iter(full_precision(*(part for part in block if part.is_floating_point())))
        yield [next(floating) if part.is_floating_point() else part for part in block]


def masks(maps: Tensor, dim: int, valid: Tensor | None) -> Iterator[Tensor | None]:
    """Yield which positions count, for each of the :func:`blocks` of a map, ``(N, 1, H, W)``."""
    if valid is None or dim == 1:
        # The same positions count in every channel.
        yield from repeat(None if valid is None else valid[:, None])
    else:
        yield from torch.split(valid[:, None], _size(maps, dim), dim)


def _size(maps: Tensor, dim: int) -> int:
    limit = _VALUES if maps.device.type == "cpu" else _VALUES_ON_DEVICE
    return max(limit * maps.shape[dim] // maps.numel(), 1)


def _by_autograd(function: Callable[..., Tensor]) -> WithSlope:
    """Return a function together with its gradient for the first of its tensors."""

    def with_slope(x: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        x.requires_grad_()
        with torch.enable_grad():
            value = function(x, *rest)
        return value.detach(), torch.autograd.grad(value, x)[0]

    return with_slope


def _sum(
    student: Tensor,
    function: WithSlope,
    others: tuple[Tensor, ...],
    dim: int,
    valid: Tensor | None,
) -> Tensor:
    total: Tensor = _Sum.apply(student, function, others, dim, valid)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        function: WithSlope,
        others: tuple[Tensor, ...],
        dim: int,
        valid: Tensor | None,
    ) -> Tensor:
        # Not in half precision: the gradient of a mean may underflow before it is scaled.
        dtype = torch.float32
        for tensor in (student, *others):
            if tensor.is_floating_point():  # otherwise blocks would be copies in a wider type
                dtype = torch.promote_types(dtype, tensor.dtype)
        gradient = torch.empty_like(student, dtype=dtype)
        total = torch.zeros((), dtype=torch.float64, device=student.device)
        parts = zip(
            blocks(gradient, student, *others, dim=dim), masks(gradient, dim, valid), strict=False
        )
        for (slope, x, y, *rest), mask in parts:
            x = x.detach()
            if mask is not None:
                # The gradient's memory is free until the gradient is computed.
                x = slope.copy_(x).masked_fill_(~mask, 0.0).detach()
            value, found = function(x, leave_out(y, mask), *rest)
            slope.copy_(found)
            if mask is not None:
                slope.masked_fill_(~mask, 0.0)
            total += value
        ctx.save_for_backward(gradient)
        ctx.dtype = student.dtype
        return total.to(dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).to(ctx.dtype), None, None, None, None
