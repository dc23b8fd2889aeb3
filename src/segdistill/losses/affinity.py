"""The affinity term of knowledge adaptation (KA): compare how alike all positions are."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_maps
from segdistill.losses.maths.gram import compare_cosines, row_lengths
from segdistill.losses.maths.positions import check_valid, count_images, leave_out, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import Batch


@without_autocast
def affinity(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the affinities between all positions of two adapted maps, of any two widths.

    With :math:`A(x)_{ij} = \cos(x_i, x_j) / P` over the :math:`P` positions of an image and
    :math:`A_i` its rows,

    .. math:: L = \frac{1}{N} \sum_n \sum_i \|A(x_n)_i - A(y_n)_i\|_2.

    This is Eq. 4 as printed, a sum over rows of unsquared norms; it grows with :math:`\sqrt P`.
    Maps with more positions than channels are compared through their C×C products; there, a row
    whose cosines differ by less than rounding error (1e-3 in float32) counts as equal. No gradient
    reaches the teacher. Half-precision maps are compared in float32. It is not twice
    differentiable.

    Args:
        student: the student's map after its adapter, :math:`x`.
        teacher: the teacher's map after the encoder, :math:`y`, of the same height and width.
        valid: True where a position counts, False where augmentation padded; None counts
            every position. An image without any is left out of the mean.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss, unitless, from 0 to :math:`2 \sqrt P`.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        He et al., CVPR 2019, Eqs. 3 and 4; weight 1.
    """
    check_maps("affinity", student=student, teacher=teacher)
    check_directions("affinity", student)
    check_valid("affinity", valid, student)
    student, teacher = full_precision(student, teacher.detach())
    maps = (student.flatten(start_dim=2), teacher.flatten(start_dim=2))
    weights = leave_out(torch.ones_like(student[:, :1]), valid).flatten(start_dim=1)
    shares = 1 / (weights.sum(dim=1).clamp_min(1) * count_images(student, valid))
    return compare_cosines(row_lengths, *maps, weights=weights, shares=shares)


class Affinity(nn.Module):
    """Module form of :func:`affinity`; it has no learnable parameters.

    Without an adapter or an autoencoder, this is "S1+affinity" in KA's Table 1, where maps are
    resized to the same size. Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return affinity(student, teacher, valid=valid_at(batch, student))
