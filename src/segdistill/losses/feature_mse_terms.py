"""Feature matching taken apart: the same loss as terms of the two lengths and the angle."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.feature_mse import feature_mse
from segdistill.losses.maths.positions import check_valid, count_positions, leave_out, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import Batch


@without_autocast
def feature_mse_terms(
    student: Tensor, teacher: Tensor, *, valid: Tensor | None = None
) -> dict[str, Tensor]:
    r"""Return :func:`feature_mse` as three parts that sum to it.

    With :math:`m` and :math:`n` the lengths of an image's maps :math:`y` and :math:`x`,
    :math:`\theta` the angle between them and :math:`N = C P` the values of a map,

    .. math::
        \frac{1}{N} \|x - y\|^2 = \frac{m^2}{N} + \frac{n^2}{N} - \frac{2 m n \cos\theta}{N},

    each a mean over the images. From the logged parts one can read :math:`m`, :math:`n` and
    :math:`m n / N`, the weight of the angle in the loss, as root mean squares. The sum equals
    :func:`feature_mse` up to rounding and has its exact gradient, which flows entirely through the
    third part: sum the parts, do not weight them separately. No gradient reaches the teacher.
    Half-precision maps are compared in float32.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        valid: True where a position counts, False where augmentation padded; None counts
            every position.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; results ``()``.

    Returns:
        ``teacher``, ``student`` and ``product``, the parts in this order, in squared units of
        the features.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        Liu et al., "Rethinking Knowledge Distillation with Raw Features for Semantic
        Segmentation", WACV 2024, Eq. 3 and Fig. 2.
    """
    check_same_maps("feature_mse_terms", student=student, teacher=teacher)
    check_valid("feature_mse_terms", valid, student)
    student, teacher = full_precision(student, teacher.detach())
    whole = feature_mse(student, teacher, valid=valid)
    values = count_positions(student, valid) * student.shape[1]
    with torch.no_grad():
        lengths = {
            name: leave_out(maps.square(), valid).sum() / values
            for name, maps in (("teacher", teacher), ("student", student))
        }
    return lengths | {"product": whole - lengths["teacher"] - lengths["student"]}


class FeatureMSETerms(nn.Module):
    """Module form of :func:`feature_mse_terms`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(
        self, student: Tensor, teacher: Tensor, batch: Batch | None = None
    ) -> dict[str, Tensor]:
        return feature_mse_terms(student, teacher, valid=valid_at(batch, student))
