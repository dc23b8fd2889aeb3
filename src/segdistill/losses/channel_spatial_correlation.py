"""Channel and spatial correlation (CSC): match how channels, and positions, correlate."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.gram import compare_cosines, squared_differences
from segdistill.losses.maths.positions import check_valid, leave_out, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.pairwise_similarity import pairwise_similarity
from segdistill.types import Batch


@without_autocast
def channel_similarity(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare how similar every two channels of an image are.

    With :math:`\hat x_{nc}` the map of a channel divided by its norm over the valid positions,

    .. math::
        L = \frac{1}{N C^2} \sum_n \sum_{c, d}
            (\hat x_{nc} \cdot \hat x_{nd} - \hat y_{nc} \cdot \hat y_{nd})^2.

    It does not change when a channel is multiplied by a positive number. No gradient reaches the
    teacher. Half-precision maps are compared in float32. It needs memory for two maps beyond its
    inputs. It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, from 0 to 4.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`ChannelSpatialCorrelation`.
    """
    who = "channel_similarity"
    check_same_maps(who, student=student, teacher=teacher)
    check_valid(who, valid, student)
    student, teacher = full_precision(student, teacher.detach())
    student, teacher = (leave_out(x, valid).flatten(start_dim=2) for x in (student, teacher))
    images, channels = student.shape[:2]
    some = student.new_ones(images)
    if valid is not None:
        some = valid.flatten(start_dim=1).any(dim=1).to(student.dtype)
    shares = some / (share_of_count(some.sum()) * channels**2)
    weights = student.new_ones(images, channels)
    # Channels take the place of positions: the vectors compared are over positions.
    return compare_cosines(
        squared_differences, student.mT, teacher.mT, weights=weights, shares=shares
    )


class ChannelSpatialCorrelation(nn.Module):
    """:func:`channel_similarity` and :func:`pairwise_similarity` of the same maps.

    The parts are ``channel`` and ``spatial``, each multiplied by its weight. Given a batch, it
    leaves out the positions that augmentation padded.

    It needs memory for about five maps beyond its inputs: each part makes a gradient of its own,
    kept and scaled, since the two are logged apart.

    Args:
        channel_weight: weight of the part ``channel``.
        spatial_weight: weight of the part ``spatial``.
        pool: pooling of the part ``spatial``; see :func:`pairwise_similarity`.

    Source:
        Park and Heo, "Knowledge Distillation for Semantic Segmentation Using Channel and Spatial
        Correlations and Adaptive Cross Entropy", Sensors 2020, 20(16):4616, compares channel and
        spatial correlation maps of both networks by their squared difference. Only its abstract was
        available: normalisation, pooling and weights are ours.
    """

    def __init__(
        self, channel_weight: float = 1.0, spatial_weight: float = 1.0, pool: int = 1
    ) -> None:
        super().__init__()
        if pool < 1:
            raise ValueError(
                f"ChannelSpatialCorrelation: expected a pool of at least 1, got {pool}"
            )
        self.channel_weight = channel_weight
        self.spatial_weight = spatial_weight
        self.pool = pool

    def forward(
        self, student: Tensor, teacher: Tensor, batch: Batch | None = None
    ) -> dict[str, Tensor]:
        valid = valid_at(batch, student)
        channel = channel_similarity(student, teacher, valid=valid)
        spatial = pairwise_similarity(student, teacher, pool=self.pool, valid=valid)
        return {
            "channel": self.channel_weight * channel,
            "spatial": self.spatial_weight * spatial,
        }

    def extra_repr(self) -> str:
        return f"pool={self.pool}"
