"""Correlation distillation (DIST): match rankings of classes and of pixels, not probabilities."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import blocks, sum_over_blocks
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.unit import SHORTEST, length


@without_autocast
def correlation(student: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    r"""Compare two maps of logits by Pearson correlations of their probabilities.

    With :math:`u = \sigma(x/T)` and :math:`v = \sigma(y/T)` over classes and :math:`\rho` the
    correlation, over the classes at each of the :math:`N P` positions, and over all positions
    of the batch for each of the :math:`K` classes,

    .. math::
        L = T^2 \Big( \frac{1}{N P} \sum_{n, p} (1 - \rho(u_{np}, v_{np}))
            + \frac{1}{K} \sum_k (1 - \rho(u_k, v_k)) \Big).

    It is 0 for equal maps, except that a distribution without spread, such as the uniform
    one, correlates with nothing and counts 1. No gradient reaches the teacher. Half-precision
    maps are compared in float32.

    Use it where the teacher is much larger than the student: the ranking has to be matched,
    not the confidence. It makes the probabilities twice and holds two maps beside its inputs.
    The gradient has no gradient of its own.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        temperature: :math:`T`, no unit.

    Shape:
        student, teacher ``(N, K, H, W)``; result ``()``.

    Returns:
        The loss, no unit, from 0 to :math:`4 T^2`.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``, or the temperature is
            not a finite number above 0.

    Source:
        Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
        arXiv:2205.10536, Eqs. 8 to 10, both weights 1, and hunto/DIST_KD. Each position is a
        sample there too; two public copies correlate across the batch at each position.
    """
    check_same_maps("correlation", student=student, teacher=teacher)
    check_positive("correlation", temperature=temperature)

    positions, classes = student[:, 0].numel(), student.shape[1]
    # How each class varies over the batch has to be known before any block's gradient is made.
    of_classes, slope = _over_positions(student.detach(), teacher.detach(), temperature)

    def apart(student: Tensor, teacher: Tensor) -> Tensor:
        u = (student / temperature).softmax(dim=1)
        v = (teacher / temperature).softmax(dim=1)
        # A linear form with the gradient of the classes' part; minus itself it adds no value.
        form = (slope(u.detach(), v) * u).sum() / classes
        return (1 - _over_classes(u, v)).sum() / positions - (form - form.detach())

    total = sum_over_blocks(apart, student, teacher, dim=2)
    return (total + (1 - of_classes).mean()) * temperature**2


class Correlation(nn.Module):
    """Module form of :func:`correlation`; it has no parameters to learn.

    Args:
        temperature: see :func:`correlation`.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive("Correlation", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return correlation(student, teacher, temperature=self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"


def _over_classes(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation over dimension 1, 0 where one of the two has no spread."""
    x = x - x.mean(dim=1, keepdim=True)
    y = y - y.mean(dim=1, keepdim=True)
    lengths = [length(z, dim=1).clamp_min(SHORTEST) for z in (x, y)]
    return (x * y).sum(dim=1, keepdim=True) / (lengths[0] * lengths[1])


def _over_positions(
    student: Tensor, teacher: Tensor, temperature: float
) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Return the correlation of each class, and from probabilities to its gradient for them."""
    sums = student.new_zeros(5, student.shape[1], dtype=torch.float64)
    for x, y in blocks(student, teacher, dim=2):
        # float64: a class may vary by little about its mean.
        u = (x / temperature).softmax(dim=1).double()
        v = (y / temperature).softmax(dim=1).double()
        pairs = ((u, u), (v, v), (u, v))
        sums += torch.stack(
            [one.sum(dim=(0, 2, 3)) for one in (u, v)]
            + [(one * other).sum(dim=(0, 2, 3)) for one, other in pairs]
        )
    count = student[:, 0].numel()
    ours, theirs, ours_squared, theirs_squared, product = sums
    spread = (ours_squared - ours.square() / count).clamp_min(0).sqrt()
    spread_of_teacher = (theirs_squared - theirs.square() / count).clamp_min(0).sqrt()
    scale = 1 / (spread.clamp_min(SHORTEST) * spread_of_teacher.clamp_min(SHORTEST))
    correlations = (product - ours * theirs / count) * scale
    # Below the shortest length the divisor is a constant, which has no gradient.
    shrink = correlations / spread.clamp_min(SHORTEST).square() * (spread > SHORTEST)
    dtype = torch.promote_types(student.dtype, torch.float32)
    ours, theirs, scale, shrink = (
        one.to(dtype)[:, None, None] for one in (ours / count, theirs / count, scale, shrink)
    )

    def slope(u: Tensor, v: Tensor) -> Tensor:
        gradient: Tensor = (v - theirs) * scale - (u - ours) * shrink
        return gradient

    return correlations.to(dtype), slope
