"""Angular distillation: match the direction of feature vectors, not their length."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.blocks import sum_over_blocks
from segdistill.losses.precision import without_autocast
from segdistill.losses.unit import unit


@without_autocast
def layer_angular(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Compare the directions of two feature maps, each image's map one vector (LAD).

    With :math:`\hat x_n` the map of image :math:`n` divided by its norm over channels and
    positions,

    .. math:: L = \frac{1}{N} \sum_n \|\hat x_n - \hat y_n\|_2^2,

    which is :math:`2 (1 - \cos\theta)` for each image. It does not change when a map is
    multiplied by a positive number, and is 0 for maps that differ by no more than that. A
    zero map stays zero and is at distance 1 from every other. No gradient reaches the
    teacher. Half-precision maps are compared in float32.

    Use it on the last backbone stage where feature scales of teacher and student differ: the
    weight need not be found anew. It holds three maps beside its inputs for two images, two
    for many. The gradient has no gradient of its own.

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
        Liu et al., "Rethinking Knowledge Distillation with Raw Features for Semantic
        Segmentation", WACV 2024, Eq. 5; weight 10, with :func:`pixelwise_kl` at 10.
    """
    check_same_maps("layer_angular", student=student, teacher=teacher)
    return _squared_distance(student, teacher, vector=(1, 2, 3), parts=0) / student.shape[0]


@without_autocast
def channel_angular(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Compare the directions of the channels of two feature maps (CAD).

    With :math:`\hat x_{nc}` a channel of one image divided by its norm over positions,

    .. math:: L = \frac{1}{N C} \sum_{n, c} \|\hat x_{nc} - \hat y_{nc}\|_2^2.

    It does not change when a channel is multiplied by a positive number. Zero channels,
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
        Liu et al., WACV 2024, Eq. 7; weight 10, with :func:`pixelwise_kl` at 10.
    """
    check_same_maps("channel_angular", student=student, teacher=teacher)
    vectors = student.shape[0] * student.shape[1]
    return _squared_distance(student, teacher, vector=(2, 3), parts=1) / vectors


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
    return _squared_distance(student, teacher, vector=1, parts=2) / vectors


class LayerAngular(nn.Module):
    """Module form of :func:`layer_angular`; it has no parameters to learn."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return layer_angular(student, teacher)


class ChannelAngular(nn.Module):
    """Module form of :func:`channel_angular`; it has no parameters to learn."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return channel_angular(student, teacher)


class PointAngular(nn.Module):
    """Module form of :func:`point_angular`; it has no parameters to learn."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return point_angular(student, teacher)


def _squared_distance(
    student: Tensor, teacher: Tensor, *, vector: int | tuple[int, ...], parts: int
) -> Tensor:
    """Return the squared distance between unit vectors, summed over all of them.

    Args:
        student: the student's map.
        teacher: the teacher's map.
        vector: dimensions that make up a vector.
        parts: a dimension along which the vectors are counted.
    """

    def distance(student: Tensor, teacher: Tensor) -> Tensor:
        return (unit(student, dim=vector) - unit(teacher, dim=vector)).square().sum()

    return sum_over_blocks(distance, student, teacher, dim=parts)
