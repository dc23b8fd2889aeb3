"""A sum over parts of two maps that are compared apart, its gradient made part by part."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.precision import full_precision

# Values of a map in a block: in the cache of a processor, and enough to keep a GPU busy.
_VALUES = 2**17
_VALUES_ON_DEVICE = 2**24


def sum_over_blocks(
    function: Callable[..., Tensor], student: Tensor, *others: Tensor, dim: int
) -> Tensor:
    """Return the sum of a function over blocks of maps, holding two maps beside the inputs.

    A loss whose parts (rows, channels or images) are compared apart needs its intermediate
    maps for one block at a time only. Each block's gradient is made by autograd right after
    its value and kept in one map, which backward scales; so there is no gradient of the
    gradient.

    Args:
        function: from blocks of all tensors, the floating ones in float32 or wider, to the
            block's sum.
        student: the tensor that the gradient is for.
        others: tensors that vary along ``dim`` as it does; they get no gradient.
        dim: dimension along which parts are independent: 0 images, 1 channels, 2 rows.

    Returns:
        The sum, float32 or wider; blocks are added up in float64.
    """
    others = tuple(other.detach() for other in others)
    if torch.is_grad_enabled() and student.requires_grad:
        total: Tensor = _Sum.apply(student, function, others, dim)  # type: ignore[no-untyped-call]
        return total
    values = [function(*block) for block in blocks(student, *others, dim=dim)]
    return torch.stack(values).double().sum().to(values[0].dtype)


def blocks(*tensors: Tensor, dim: int) -> Iterator[list[Tensor]]:
    """Yield matching blocks of tensors along a dimension, the floating ones in full precision.

    Args:
        tensors: tensors that vary along ``dim`` together; the first says how large blocks are.
        dim: the dimension to divide.
    """
    first = tensors[0]
    limit = _VALUES if first.device.type == "cpu" else _VALUES_ON_DEVICE
    size = max(limit * first.shape[dim] // first.numel(), 1)
    for block in zip(*(torch.split(one, size, dim) for one in tensors), strict=True):
        floating = iter(full_precision(*(one for one in block if one.is_floating_point())))
        yield [next(floating) if one.is_floating_point() else one for one in block]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        function: Callable[..., Tensor],
        others: tuple[Tensor, ...],
        dim: int,
    ) -> Tensor:
        # Not in half precision: a mean's gradient may be too small before it is scaled.
        dtype = torch.promote_types(student.dtype, torch.float32)
        gradient = torch.empty_like(student, dtype=dtype)
        total = torch.zeros((), dtype=torch.float64, device=student.device)
        for slope, x, *rest in blocks(gradient, student, *others, dim=dim):
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                value = function(x, *rest)
            slope.copy_(torch.autograd.grad(value, x)[0])
            total += value.detach()
        ctx.save_for_backward(gradient)
        ctx.dtype = student.dtype
        return total.to(dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).to(ctx.dtype), None, None, None
