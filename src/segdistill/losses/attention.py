"""Attention transfer (AT): match where a map is active, summed over its channels."""

from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import check_valid, count_positions, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.unit import SHORTEST, unit
from segdistill.types import Batch


@without_autocast
def attention(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the spatial attention of two feature maps, of any two widths.

    The attention of image :math:`n` is the mean squared activation at each of its :math:`P`
    positions, normalised to a unit vector over them,

    .. math:: q(x)_n = \frac{a_n}{\|a_n\|_2}, \qquad a_{np} = \frac{1}{C} \sum_c x_{ncp}^2,

    and the loss is the mean squared difference,

    .. math:: L = \frac{1}{N P} \sum_{n, p} (q(x)_{np} - q(y)_{np})^2.

    It does not change when a map is multiplied by a number. No gradient reaches the teacher,
    and none reaches a map of zeros. Half-precision maps are compared in float32.

    Use it when widths differ and you do not want a projector: it is the cheapest of the feature
    losses. It needs memory for at most three maps beyond its inputs. It is not twice
    differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same height and width.
        valid: True where a position counts, False where augmentation padded; None counts
            every position.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss, unitless, from 0 to :math:`2 / P`.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv:1612.03928,
        Eq. 2. The paper sums unsquared norms; the authors' szagoruyko/attention-transfer and all
        later code use this mean.
    """
    check_maps("attention", student=student, teacher=teacher)
    check_valid("attention", valid, student)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(_attention(student), _attention(teacher), reduction="sum")

    total = sum_over_blocks(difference, student, teacher, dim=0, valid=valid)
    return total / count_positions(student, valid)


class Attention(nn.Module):
    """Module form of :func:`attention`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return attention(student, teacher, valid=valid_at(batch, student))


def _attention(maps: Tensor) -> Tensor:
    """Return the unit attention of ``(N, C, H, W)`` maps over positions, ``(N, H, W)``."""
    # Attention is squared activation, so the shortest length is squared as well.
    return unit(maps.square().mean(dim=1), dim=(1, 2), shortest=SHORTEST**2)
