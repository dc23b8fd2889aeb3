"""The adaptation term of knowledge adaptation (KA): compare directions position by position."""

import math

from torch import Tensor

from segdistill.checks import check_directions, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import check_valid, count_positions
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.unit import length, unit


@without_autocast
def adaptation(
    student: Tensor,
    teacher: Tensor,
    *,
    p: float = 2.0,
    q: float = 2.0,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the directions of adapted features at each position by a norm, not a squared norm.

    With :math:`V` the valid positions of all images,

    .. math::
        L = \frac{1}{|V|} \sum_{i \in V} \Big\|
            \frac{x_i}{\|x_i\|_q} - \frac{y_i}{\|y_i\|_q} \Big\|_p,

    with norms taken over channels. It does not change when a position is multiplied by a positive
    number. No gradient reaches the teacher. Half-precision maps are compared in float32.

    It needs memory for two maps beyond its inputs. It is not twice differentiable.

    Args:
        student: the student's map after its adapter, :math:`x`.
        teacher: the teacher's map after the encoder, :math:`y`, of the same shape.
        p: order of the norm of the difference; 1 is the curve of Fig. 5, "the L1 loss".
        q: order of the norm that each vector is divided by.
        valid: True where a position counts, False where augmentation padded; None counts
            every position.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, from 0 to 2 for p = q.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has another
            size, or an order is not a finite number of at least 1.
        TypeError: ``valid`` is not bool.

    Source:
        He et al., "Knowledge Adaptation for Efficient Semantic Segmentation", CVPR 2019,
        Eq. 2; weight 50. The paper does not give p and q; there is no public code.
    """
    check_same_maps("adaptation", student=student, teacher=teacher)
    check_directions("adaptation", student)
    check_orders("adaptation", p=p, q=q)
    check_valid("adaptation", valid, student)

    def distance(student: Tensor, teacher: Tensor) -> Tensor:
        difference = unit(student, dim=1, order=q) - unit(teacher, dim=1, order=q)
        return length(difference, dim=1, order=p).sum()

    total = sum_over_blocks(distance, student, teacher, dim=2, valid=valid)
    return total / count_positions(student, valid)


def check_orders(caller: str, **orders: float) -> None:
    """Refuse norm orders that are not finite numbers of at least 1.

    Raises:
        ValueError: an order is invalid; the message names the first such one.
    """
    for name, order in orders.items():
        if not (math.isfinite(order) and order >= 1):
            raise ValueError(f"{caller}: expected {name} >= 1 and finite, got {order}")
