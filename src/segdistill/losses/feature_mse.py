"""Feature matching (FitNet, MIMIC): the squared difference of every value."""

from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import check_valid, count_positions, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import Batch


@without_autocast
def feature_mse(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare two feature maps value by value.

    .. math:: L = \frac{1}{N C P} \sum_{n, c, p} (x_{ncp} - y_{ncp})^2

    It grows with the square of the features' scale, so its weight has to be tuned again for every
    pair of networks. No gradient reaches the teacher. Half-precision maps are compared in float32.

    Use it as the baseline of feature distillation. It needs memory for one map beyond its inputs,
    or for two with ``valid``; with ``valid`` it is not twice differentiable.

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
        Romero et al., "FitNets", ICLR 2015; MIMIC in Liu et al., CVPR 2019, Table 2; Liu et
        al., WACV 2024, Eq. 1, whose Fig. 1 needs weights of 100 to 1000.
    """
    check_same_maps("feature_mse", student=student, teacher=teacher)
    check_valid("feature_mse", valid, student)
    if valid is None:
        student, teacher = full_precision(student, teacher.detach())
        return F.mse_loss(student, teacher)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        return (student - teacher).square().sum()

    total = sum_over_blocks(difference, student, teacher, dim=2, valid=valid)
    return total / (count_positions(student, valid) * student.shape[1])


class FeatureMSE(nn.Module):
    """Module form of :func:`feature_mse`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return feature_mse(student, teacher, valid=valid_at(batch, student))
