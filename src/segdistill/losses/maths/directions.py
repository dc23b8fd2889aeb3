"""The squared distance between unit vectors: how far two directions are apart."""

from torch import Tensor

from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import leave_out
from segdistill.losses.maths.unit import unit


def squared_distance(
    student: Tensor,
    teacher: Tensor,
    *,
    vector: int | tuple[int, ...],
    parts: int,
    valid: Tensor | None,
) -> Tensor:
    """Return the squared distance between unit vectors, summed over all of them.

    Args:
        student: the student's map.
        teacher: the teacher's map.
        vector: dimensions that make up a vector.
        parts: a dimension along which the vectors are counted.
        valid: True where a position counts, or None where all do.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.
    """
    mask = None if valid is None else valid[:, None].expand(-1, student.shape[1], -1, -1)

    def distance(student: Tensor, teacher: Tensor, *mask: Tensor) -> Tensor:
        if mask:
            student, teacher = (leave_out(x, mask[0]) for x in (student, teacher))
        return (unit(student, dim=vector) - unit(teacher, dim=vector)).square().sum()

    masks = () if mask is None else (mask,)
    return sum_over_blocks(distance, student, teacher, *masks, dim=parts)
