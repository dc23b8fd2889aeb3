"""Point-wise angular distillation (PAD): match the direction of each position."""

from torch import Tensor, nn

from segdistill.checks import check_directions, check_same_maps
from segdistill.losses.maths.directions import squared_distance
from segdistill.losses.maths.positions import check_valid, count_positions, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.types import Batch


@without_autocast
def point_angular(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the directions of the feature vectors at each position (PAD).

    With :math:`\hat x_{np}` the vector of one position divided by its norm over channels, and
    :math:`P` the number of positions in a map,

    .. math:: L = \frac{1}{N P} \sum_{n, p} \|\hat x_{np} - \hat y_{np}\|_2^2.

    It does not change when a position is multiplied by a positive number. Zero positions,
    half precision and the teacher's gradient are treated as in :func:`layer_angular`.

    It needs memory for two maps beyond its inputs. It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        valid: True where a position counts, False where augmentation padded; None counts
            every position.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, from 0 to 4.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        Liu et al., WACV 2024, Eq. 8; weight 10, with :func:`pixelwise_kl` at 10.
    """
    check_same_maps("point_angular", student=student, teacher=teacher)
    check_directions("point_angular", student)
    check_valid("point_angular", valid, student)
    total = squared_distance(student, teacher, vector=1, parts=2, valid=valid)
    return total / count_positions(student, valid)


class PointAngular(nn.Module):
    """Module form of :func:`point_angular`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return point_angular(student, teacher, valid=valid_at(batch, student))
