"""Channel-wise angular distillation (CAD): match the direction of each channel."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.maths.directions import squared_distance
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.types import Batch


@without_autocast
def channel_angular(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the directions of the channels of two feature maps (CAD).

    With :math:`\hat x_{nc}` a channel of one image divided by its norm over positions,

    .. math:: L = \frac{1}{N C} \sum_{n, c} \|\hat x_{nc} - \hat y_{nc}\|_2^2.

    It does not change when a channel is multiplied by a positive number. Zero channels,
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
        Liu et al., WACV 2024, Eq. 7; weight 10, with :func:`pixelwise_kl` at 10.
    """
    check_same_maps("channel_angular", student=student, teacher=teacher)
    check_valid("channel_angular", valid, student)
    total = squared_distance(student, teacher, vector=(2, 3), parts=1, valid=valid)
    return total / (count_images(student, valid) * student.shape[1])


class ChannelAngular(nn.Module):
    """Module form of :func:`channel_angular`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return channel_angular(student, teacher, valid=valid_at(batch, student))
