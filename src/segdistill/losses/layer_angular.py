"""Layer-wise angular distillation (LAD): match the direction of the whole map as one vector."""

from torch import Tensor, nn

from segdistill.checks import check_same_maps
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.whole_maps import direction_distances
from segdistill.types import Batch


@without_autocast
def layer_angular(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the directions of two feature maps, taking each image's map as one vector (LAD).

    With :math:`\hat x_n` the map of image :math:`n` divided by its norm over channels and
    positions,

    .. math:: L = \frac{1}{N} \sum_n \|\hat x_n - \hat y_n\|_2^2,

    which is :math:`2 (1 - \cos\theta)` for each image. It does not change when a map is multiplied
    by a positive number, and is 0 for maps that differ only by such a factor. A zero map stays zero
    and is at distance 1 from every other map. No gradient reaches the teacher. Half-precision maps
    are compared in float32.

    Use it on the last backbone stage when the feature scales of teacher and student differ: the
    weight need not be tuned again. It needs memory for one map beyond its inputs. It is not twice
    differentiable.

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
        Liu et al., "Rethinking Knowledge Distillation with Raw Features for Semantic
        Segmentation", WACV 2024, Eq. 5; weight 10, with :func:`pixelwise_kl` at 10.
    """
    check_same_maps("layer_angular", student=student, teacher=teacher)
    check_valid("layer_angular", valid, student)
    return direction_distances(student, teacher, valid).sum() / count_images(student, valid)


class LayerAngular(nn.Module):
    """Module form of :func:`layer_angular`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return layer_angular(student, teacher, valid=valid_at(batch, student))
