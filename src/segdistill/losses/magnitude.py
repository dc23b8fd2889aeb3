"""Magnitude distillation (MD): match the length of the whole map and nothing else."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.unit import length


@without_autocast
def magnitude(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Compare the norms of two feature maps, each image's map one vector.

    .. math:: L = \frac{1}{N} \sum_n \frac{(\|y_n\|_2 - \|x_n\|_2)^2}{C P}

    A diagnostic: with :func:`layer_angular` it makes up :func:`feature_mse`, and its authors
    show that this half does not help. No gradient reaches the teacher, and none a map of
    zeros. Half-precision maps are compared in float32.

    It holds two maps beside its inputs. The gradient has no gradient of its own.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.

    Shape:
        student, teacher ``(N, C, H, W)``; result ``()``.

    Returns:
        The loss in squared units of the features, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``.

    Source:
        Liu et al., "Rethinking Knowledge Distillation with Raw Features for Semantic
        Segmentation", WACV 2024, Eq. 4.
    """
    check_same_maps("magnitude", student=student, teacher=teacher)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        every = (1, 2, 3)
        return (length(teacher, dim=every) - length(student, dim=every)).square().sum()

    return sum_over_blocks(difference, student, teacher, dim=0) / student.numel()


class Magnitude(nn.Module):
    """Module form of :func:`magnitude`; it has no parameters to learn."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return magnitude(student, teacher)
