"""Point-wise angular distillation (PAD): match the direction of each position."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.maths.directions import squared_distance
from segdistill.losses.maths.precision import without_autocast


@without_autocast
def point_angular(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Compare the directions of the feature vectors at each position (PAD).

    With :math:`\hat x_{np}` the vector of one position divided by its norm over channels and
    :math:`P` positions in a map,

    .. math:: L = \frac{1}{N P} \sum_{n, p} \|\hat x_{np} - \hat y_{np}\|_2^2.

    It does not change when a position is multiplied by a positive number. Zero positions,
    half precision and the teacher's gradient are treated as in :func:`layer_angular`.

    It holds two maps beside its inputs. The gradient has no gradient of its own.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.

    Shape:
        student, teacher ``(N, C, H, W)``; result ``()``.

    Returns:
        The loss, no unit, from 0 to 4.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``.

    Source:
        Liu et al., WACV 2024, Eq. 8; weight 10, with :func:`pixelwise_kl` at 10.
    """
    check_same_maps("point_angular", student=student, teacher=teacher)
    vectors = student.shape[0] * student.shape[2] * student.shape[3]
    return squared_distance(student, teacher, vector=1, parts=2) / vectors


class PointAngular(nn.Module):
    """Module form of :func:`point_angular`; it has no parameters to learn."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return point_angular(student, teacher)
