"""How well a critic distinguishes student and teacher: differences of its scores per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from segdistill.checks import check_same_maps


def score_gaps(
    critic: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor, images: Tensor
) -> Tensor:
    r"""Return how much higher a critic scores the teacher's maps than the student's.

    .. math:: g_n = D(y_n, I_n) - D(x_n, I_n)

    Values near 0 mean that the critic cannot tell the two apart.

    Args:
        critic: :math:`D`, from logits and images to one score per image, in evaluation mode.
        student: the student's logits, :math:`x`.
        teacher: the teacher's logits :math:`y`, of the same shape.
        images: :math:`I`, uint8 or floating-point in [0, 1].

    Shape:
        student, teacher ``(N, K, H, W)``; images ``(N, 3, H', W')``; result ``(N,)``.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``.

    Source:
        Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019,
        Sec. 4.2 and Fig. 3a.
    """
    check_same_maps("score_gaps", student=student, teacher=teacher)
    with torch.no_grad():
        of_student, of_teacher = (critic(logits.float(), images) for logits in (student, teacher))
    return of_teacher - of_student
