"""Correlation distillation (DIST): match rankings of classes and of pixels, not probabilities."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segdistill.checks import check_classes, check_positive, check_same_maps
from segdistill.losses.maths.blocks import blocks, sum_over_blocks
from segdistill.losses.maths.gather import processes, sum_over_processes
from segdistill.losses.maths.positions import check_valid, count_positions, leave_out, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.unit import SHORTEST, length
from segdistill.types import Batch


@without_autocast
def correlation(
    student: Tensor, teacher: Tensor, *, temperature: float = 1.0, valid: Tensor | None = None
) -> Tensor:
    r"""Compare two maps of logits by Pearson correlations of their probabilities.

    With :math:`u = \sigma(x/T)` and :math:`v = \sigma(y/T)` over classes and :math:`\rho` the
    correlation, taken over the classes at each of the valid positions :math:`V` and over all these
    positions for each of the :math:`K` classes,

    .. math::
        L = T^2 \Big( \frac{1}{|V|} \sum_{p \in V} (1 - \rho(u_p, v_p))
            + \frac{1}{K} \sum_k (1 - \rho(u_k, v_k)) \Big).

    The positions are those of the images of all processes: the mean over processes gives the
    equation. It is 0 for equal maps, except that a distribution without spread, such as the uniform
    one, correlates with nothing and counts as 1. No gradient reaches the teacher. Half-precision
    maps are compared in float32.

    Use it when the teacher is much larger than the student: only the ranking has to be matched, not
    the confidence. It computes the probabilities twice and needs two maps of memory beyond its
    inputs. It is not twice differentiable.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        temperature: :math:`T`, unitless.
        valid: True where a position counts, False where augmentation padded; None counts
            every position.

    Shape:
        student, teacher ``(N, K, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, from 0 to :math:`4 T^2`.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``, ``valid`` has another
            size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
        arXiv:2205.10536, Eqs. 8 to 10, with both weights 1, and hunto/DIST_KD. Each position is a
        sample there too; two public copies correlate across the batch at each position.
    """
    check_same_maps("correlation", student=student, teacher=teacher)
    check_classes("correlation", student)
    check_positive("correlation", temperature=temperature)
    check_valid("correlation", valid, student)

    positions, classes = count_positions(student, valid), student.shape[1]
    masks = () if valid is None else (valid[:, None],)
    # How each class varies over the batch has to be known before any block's gradient is computed.
    of_classes, slope = _over_positions(
        student.detach(), teacher.detach(), *masks, temperature=temperature
    )
    any_position = 1.0 if valid is None else (sum_over_processes(valid.any()) > 0).float()
    # Every process holds the whole class term, and training averages over processes.
    share = processes()[1] / classes

    def by_rows(student: Tensor, teacher: Tensor, *mask: Tensor) -> Tensor:
        u = (student / temperature).softmax(dim=1)
        v = (teacher / temperature).softmax(dim=1)
        # A linear form with the gradient of the class term; subtracting its own value leaves the
        # gradient.
        form = leave_out(slope(u.detach(), v) * u, *mask).sum() * share
        of_positions = leave_out(1 - _over_classes(u, v), *mask).sum() / positions
        return of_positions - (form - form.detach())

    total = sum_over_blocks(by_rows, student, teacher, *masks, dim=2)
    return (total + (1 - of_classes).mean() * any_position) * temperature**2


class Correlation(nn.Module):
    """Module form of :func:`correlation`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        temperature: see :func:`correlation`.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive("Correlation", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        valid = valid_at(batch, student)
        return correlation(student, teacher, temperature=self.temperature, valid=valid)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"


def _over_classes(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation over dimension 1, or 0 where either input has no spread."""
    x = x - x.mean(dim=1, keepdim=True)
    y = y - y.mean(dim=1, keepdim=True)
    lengths = [length(z, dim=1).clamp_min(SHORTEST) for z in (x, y)]
    return (x * y).sum(dim=1, keepdim=True) / (lengths[0] * lengths[1])


def _over_positions(
    student: Tensor, teacher: Tensor, *mask: Tensor, temperature: float
) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Return the correlation of each class and a function from probabilities to its gradient."""
    sums = student.new_zeros(6, student.shape[1], dtype=torch.float64)
    for x, y, *valid in blocks(student, teacher, *mask, dim=2):
        # float64: a class may vary only slightly around its mean.
        u = leave_out((x / temperature).softmax(dim=1).double(), *valid)
        v = leave_out((y / temperature).softmax(dim=1).double(), *valid)
        counted = leave_out(torch.ones_like(u[:, :1]), *valid).expand_as(u)
        products = (u, v, u * u, v * v, u * v, counted)
        sums += torch.stack([product.sum(dim=(0, 2, 3)) for product in products])
    *moments, counts = sum_over_processes(sums)
    count = counts.clamp_min(1)
    ours, theirs, ours_squared, theirs_squared, product = moments
    spread = (ours_squared - ours.square() / count).clamp_min(0).sqrt()
    spread_of_teacher = (theirs_squared - theirs.square() / count).clamp_min(0).sqrt()
    scale = 1 / (spread.clamp_min(SHORTEST) * spread_of_teacher.clamp_min(SHORTEST))
    correlations = (product - ours * theirs / count) * scale
    # Below the shortest length the divisor is a constant, which has no gradient.
    shrink = correlations / spread.clamp_min(SHORTEST).square() * (spread > SHORTEST)
    dtype = torch.promote_types(student.dtype, torch.float32)
    ours, theirs, scale, shrink = (
        by_class.to(dtype)[:, None, None]
        for by_class in (ours / count, theirs / count, scale, shrink)
    )

    def slope(u: Tensor, v: Tensor) -> Tensor:
        gradient: Tensor = (v - theirs) * scale - (u - ours) * shrink
        return gradient

    return correlations.to(dtype), slope
