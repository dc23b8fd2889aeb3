"""Knowledge adaptation (KA): its two comparisons, of positions and of their affinities."""

import math

from torch import Tensor

from segdistill.checks import check_maps, check_same_maps
from segdistill.losses.blocks import sum_over_blocks
from segdistill.losses.gram import compare_cosines, row_lengths
from segdistill.losses.precision import full_precision, without_autocast
from segdistill.losses.unit import length, unit


@without_autocast
def adaptation(student: Tensor, teacher: Tensor, *, p: float = 2.0, q: float = 2.0) -> Tensor:
    r"""Compare the directions of adapted features at each position by a norm, not its square.

    With :math:`P` positions in a map,

    .. math::
        L = \frac{1}{N P} \sum_{n, i} \Big\|
            \frac{x_{ni}}{\|x_{ni}\|_q} - \frac{y_{ni}}{\|y_{ni}\|_q} \Big\|_p,

    norms over channels. It does not change when a position is multiplied by a positive
    number. No gradient reaches the teacher. Half-precision maps are compared in float32.

    It holds two maps beside its inputs. The gradient has no gradient of its own.

    Args:
        student: the student's map after its adapter, :math:`x`.
        teacher: the teacher's map after the encoder, :math:`y`, of the same shape.
        p: order of the norm of the difference.
        q: order of the norm that a vector is divided by.

    Shape:
        student, teacher ``(N, C, H, W)``; result ``()``.

    Returns:
        The loss, no unit, from 0 to 2 for p = q.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or an order is not a
            finite number of at least 1.

    Source:
        He et al., "Knowledge Adaptation for Efficient Semantic Segmentation", CVPR 2019,
        Eq. 2; weight 50. The paper does not give p and q; there is no public code.
    """
    check_same_maps("adaptation", student=student, teacher=teacher)
    check_orders("adaptation", p=p, q=q)

    def distance(student: Tensor, teacher: Tensor) -> Tensor:
        difference = unit(student, dim=1, order=q) - unit(teacher, dim=1, order=q)
        return length(difference, dim=1, order=p).sum()

    return sum_over_blocks(distance, student, teacher, dim=2) / student[:, 0].numel()


@without_autocast
def affinity(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Compare the affinities between all positions of two adapted maps, of any two widths.

    With :math:`A(x)_{ij} = \cos(x_i, x_j) / P` over the :math:`P` positions of an image and
    :math:`A_i` its rows,

    .. math:: L = \frac{1}{N} \sum_n \sum_i \|A(x_n)_i - A(y_n)_i\|_2.

    This is Eq. 4 as it is printed, a sum over rows of norms that are not squared; it grows
    with :math:`\sqrt P`. Maps of more positions than channels are compared through their C×C
    products, where a row whose cosines differ by less than rounding (1e-3 in float32) counts
    as equal. No gradient reaches the teacher. Half-precision maps are compared in float32. The
    gradient has no gradient of its own.

    Args:
        student: the student's map after its adapter, :math:`x`.
        teacher: the teacher's map after the encoder, :math:`y`, of the same height and width.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; result ``()``.

    Returns:
        The loss, no unit, from 0 to :math:`2 \sqrt P`.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``.

    Source:
        He et al., CVPR 2019, Eqs. 3 and 4; weight 1.
    """
    check_maps("affinity", student=student, teacher=teacher)
    student, teacher = full_precision(student, teacher.detach())
    maps = (student.flatten(start_dim=2), teacher.flatten(start_dim=2))
    images, positions = len(student), student[0, 0].numel()
    return compare_cosines(
        row_lengths,
        *maps,
        weights=student.new_ones(images, positions),
        shares=student.new_full((images,), 1 / (images * positions)),
    )


def check_orders(caller: str, **orders: float) -> None:
    """Refuse the order of a norm that is not a finite number of at least 1.

    Raises:
        ValueError: names the first that is not.
    """
    for name, order in orders.items():
        if not (math.isfinite(order) and order >= 1):
            raise ValueError(f"{caller}: expected {name} >= 1 and finite, got {order}")
