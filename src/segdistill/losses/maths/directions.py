"""The squared distance between unit vectors: how far two directions are apart."""

from torch import Tensor

from segdistill.losses.maths.blocks import sum_over_blocks
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
        vector: dimensions that make up one vector.
        parts: a dimension along which the vectors are counted.
        valid: True where a position counts, or None if all do.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.
    """

    def distance(student: Tensor, teacher: Tensor) -> Tensor:
        return (unit(student, dim=vector) - unit(teacher, dim=vector)).square().sum()

    return sum_over_blocks(distance, student, teacher, dim=parts, valid=valid)
