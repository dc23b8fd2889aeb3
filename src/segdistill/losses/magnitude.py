"""Magnitude distillation (MD): match the length of the whole map and nothing else."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.whole_maps import lengths
from segdistill.types import Batch


@without_autocast
def magnitude(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the norms of two feature maps, taking each image's map as one vector.

    .. math:: L = \frac{1}{N} \sum_n \frac{(\|y_n\|_2 - \|x_n\|_2)^2}{C P}

    This is a diagnostic: together with :func:`layer_angular` it makes up :func:`feature_mse`, and
    its authors show that this half does not help. No gradient reaches the teacher, and none reaches
    a map of zeros. Half-precision maps are compared in float32.

    It needs memory for one map beyond its inputs. It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        valid: True where a position counts, False where augmentation padded; None counts
            every position.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in squared units of the features, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        Liu et al., "Rethinking Knowledge Distillation with Raw Features for Semantic
        Segmentation", WACV 2024, Eq. 4.
    """
    check_same_maps("magnitude", student=student, teacher=teacher)
    check_valid("magnitude", valid, student)

    positions = student[0, 0].numel() if valid is None else valid.sum(dim=(1, 2)).clamp_min(1)
    difference = lengths(teacher.detach(), valid) - lengths(student, valid)
    total = (difference.square() / positions).sum()
    return total / (count_images(student, valid) * student.shape[1])


class Magnitude(nn.Module):
    """Module form of :func:`magnitude`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return magnitude(student, teacher, valid=valid_at(batch, student))
