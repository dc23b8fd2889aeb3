"""Each image's map as one vector: its length, and its direction compared with another's.

The gradient of either is a sum of the maps, each multiplied by one number per image, so it is
written in one pass and nothing of a map's size is kept for it.
"""

from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.blocks import blocks
from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.positions import leave_out
from segdistill.losses.maths.unit import SHORTEST


def lengths(maps: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return the norm of each image's map; its gradient at a map of zeros is 0.

    It is not twice differentiable.

    Args:
        maps: features.
        valid: True where a position counts, or None if all do.

    Shape:
        maps ``(N, C, H, W)``; valid ``(N, H, W)``; result ``(N,)``, float32 or wider.
    """
    result: Tensor = _Lengths.apply(maps, valid)  # type: ignore[no-untyped-call]
    return result


def direction_distances(student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> Tensor:
    r"""Return :math:`\|\hat x_n - \hat y_n\|^2` of each image's maps divided by their norms.

    A map shorter than :data:`~segdistill.losses.maths.unit.SHORTEST` is divided by that value. No
    gradient reaches the teacher, and it is not twice differentiable.

    Args:
        student: features, :math:`x`.
        teacher: features, :math:`y`.
        valid: True where a position counts, or None if all do.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``(N,)``, float32 or wider.
    """
    result: Tensor = _Distances.apply(student, teacher.detach(), valid)  # type: ignore[no-untyped-call]
    return result


class _Lengths(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, valid: Tensor | None) -> Tensor:
        norms = _norms(maps, valid)
        ctx.save_for_backward(maps, norms)
        ctx.valid = valid
        return norms.to(torch.promote_types(maps.dtype, torch.float32))

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        maps, norms = ctx.saved_tensors
        factors = torch.where(norms > 0, upstream / norms, 0)
        return _combine(maps, maps, factors, torch.zeros_like(factors), ctx.valid), None


class _Distances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, valid: Tensor | None) -> Tensor:
        norms = _norms(student, valid), _norms(teacher, valid)
        ours, theirs = (1 / norm.clamp_min(SHORTEST) for norm in norms)
        distances = torch.zeros_like(ours)
        for n in range(len(student)):
            mask = None if valid is None else valid[n : n + 1]
            for x, y in blocks(student[n : n + 1], teacher[n : n + 1], dim=1):
                difference = torch.mul(x, ours[n].to(x.dtype))
                difference -= y * theirs[n].to(x.dtype)
                distances[n] += _squares(leave_out(difference, mask))
        # With d = x̂ - ŷ, from |ŷ|² = |x̂|² - 2 x̂·d + |d|².
        unit_squares = [
            (norm * inverse).square() for norm, inverse in zip(norms, (ours, theirs), strict=True)
        ]
        along = (unit_squares[0] + distances - unit_squares[1]) / 2
        along *= norms[0] > SHORTEST  # below it the divisor is constant
        ctx.save_for_backward(student, ours, theirs, along)
        ctx.others = teacher, valid  # inference-mode tensors of a teacher cannot be saved
        return distances.to(_wider(student, teacher))

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        student, ours, theirs, along = ctx.saved_tensors
        teacher, valid = ctx.others
        # d / |x| without its part along x̂.
        scale = 2 * upstream * ours
        return (
            _combine(student, teacher, scale * ours * (1 - along), -scale * theirs, valid),
            None,
            None,
        )


def _combine(
    student: Tensor, teacher: Tensor, ours: Tensor, theirs: Tensor, valid: Tensor | None
) -> Tensor:
    """Return the sum of each image's maps, each times its own number, in the student's dtype."""
    result = torch.empty_like(student)
    for n in range(len(student)):
        mask = None if valid is None else valid[n : n + 1]
        parts = blocks(student[n : n + 1], teacher[n : n + 1], dim=1)
        size = 0
        for x, y in parts:
            room = result[n : n + 1, size : size + x.shape[1]]
            size += x.shape[1]
            total = torch.mul(x, ours[n].to(x.dtype), out=room if room.dtype == x.dtype else None)
            if teacher is not student:
                total += y * theirs[n].to(x.dtype)
            if mask is not None:
                total.masked_fill_(~mask[:, None], 0.0)
            if total is not room:
                room.copy_(total)
    return result


def _norms(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Return the norm of each image's map, ``(N,)`` float64."""
    squares = maps.new_zeros(len(maps), dtype=torch.float64)
    for n in range(len(maps)):
        mask = None if valid is None else valid[n : n + 1]
        for (part,) in blocks(maps[n : n + 1], dim=1):
            squares[n] += _squares(leave_out(part, mask))
    return squares.sqrt()


def _squares(part: Tensor) -> Tensor:
    # Norms of rows first: over millions of values, one sum in float32 loses four digits.
    rows: Tensor = torch.linalg.vector_norm(part, dim=-1)
    return rows.double().square().sum()


def _wider(student: Tensor, teacher: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
