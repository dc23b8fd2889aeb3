"""Grouped decoupled distillation (GDKD): likely classes, the others, and both as groups."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import check_valid, count_positions, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.types import Batch
from segdistill.upsampling import at_least, in_the_limit


@without_autocast
def grouped_decoupled_kl(
    student: Tensor,
    teacher: Tensor,
    *,
    top: int = 3,
    temperature: float = 1.0,
    between: float = 1.0,
    inside: float = 1.0,
    others: float = 2.0,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare logits separately for the teacher's likeliest classes and for the others.

    At a position let :math:`G` be the :math:`k` classes with the teacher's largest logits,
    :math:`b(y) = (\sum_{G} \sigma(y/T), \sum_{\bar G} \sigma(y/T))`, and :math:`r_G(y)` and
    :math:`r_{\bar G}(y)` the softmax of :math:`y/T` within either group. With :math:`V` the valid
    positions of all images,

    .. math::
        L = \frac{T^2}{|V|} \sum_{p \in V} w_0\, \mathrm{KL}(b(y) \| b(x))
            + w_1\, \mathrm{KL}(r_G(y) \| r_G(x))
            + w_2\, \mathrm{KL}(r_{\bar G}(y) \| r_{\bar G}(x)).

    It needs no labels, unlike :func:`decoupled_kl`. It is 0 for equal maps, and does not change
    when a constant is added to the logits of a pixel. No gradient reaches the teacher.
    Half-precision maps are compared in float32. It needs memory for two maps beyond its inputs. It
    is not twice differentiable.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        top: :math:`k`, number of classes in the first group; less than the number of classes.
        temperature: :math:`T`, unitless.
        between: :math:`w_0`, weight of one group against the other.
        inside: :math:`w_1`, weight of the classes within the first group.
        others: :math:`w_2`, weight of the other classes within their group.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. If no position is valid, the loss is 0.

    Shape:
        student, teacher ``(N, K, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``, ``valid`` has another
            size, there are not more classes than ``top``, or another setting is not a finite
            number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        ZaberKo/seg-gdkd (see that repository for its licence), from which these defaults are taken
        (k 3, T 1, weights 1, 1, 2; 5 classes in some of its runs). That code masks with logits of
        -1000 and takes the log of a softmax; here both are exact. There, too, the teacher decides
        which classes make up the group.
    """
    who = "grouped_decoupled_kl"
    check_same_maps(who, student=student, teacher=teacher)
    _check(who, top, temperature, between, inside, others)
    check_valid(who, valid, student)
    if student.shape[1] <= top:
        raise ValueError(
            f"{who}: expected more classes than top = {top}, got {student.shape[1]}; "
            "lower top, or use pixelwise_kl"
        )

    def divergence(student: Tensor, teacher: Tensor, *mask: Tensor) -> Tensor:
        student, teacher = (at_least(logits / temperature) for logits in (student, teacher))
        group = torch.zeros_like(teacher, dtype=torch.bool)
        group.scatter_(1, teacher.topk(top, dim=1).indices, True)
        values = torch.zeros_like(student[:, :1])
        sides = []
        for members, weight in ((group, inside), (~group, others)):
            sums = [_logsumexp(logits, members) for logits in (student, teacher)]
            among_s = (student - sums[0]).masked_fill(~members, 0.0)
            among_t = (teacher - sums[1]).masked_fill(~members, 0.0)
            shares = among_t.exp().masked_fill(~members, 0.0)
            values = values + weight * (shares * (among_t - among_s)).sum(dim=1, keepdim=True)
            sides.append(sums)
        log_s, log_t = (
            F.log_softmax(torch.cat(pair, dim=1), dim=1) for pair in zip(*sides, strict=True)
        )
        values = values + between * (log_t.exp() * (log_t - log_s)).sum(dim=1, keepdim=True)
        return values.sum() if not mask else values.masked_fill(~mask[0], 0.0).sum()

    mask = () if valid is None else (valid[:, None],)
    total = in_the_limit(sum_over_blocks(divergence, student, teacher, *mask, dim=2))
    return total * temperature**2 / count_positions(student, valid)


class GroupedDecoupledKL(nn.Module):
    """Module form of :func:`grouped_decoupled_kl`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        top: see :func:`grouped_decoupled_kl`.
        temperature: see :func:`grouped_decoupled_kl`.
        between: see :func:`grouped_decoupled_kl`.
        inside: see :func:`grouped_decoupled_kl`.
        others: see :func:`grouped_decoupled_kl`.
    """

    def __init__(
        self,
        top: int = 3,
        temperature: float = 1.0,
        between: float = 1.0,
        inside: float = 1.0,
        others: float = 2.0,
    ) -> None:
        super().__init__()
        _check("GroupedDecoupledKL", top, temperature, between, inside, others)
        self.top = top
        self.temperature = temperature
        self.between = between
        self.inside = inside
        self.others = others

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return grouped_decoupled_kl(
            student,
            teacher,
            top=self.top,
            temperature=self.temperature,
            between=self.between,
            inside=self.inside,
            others=self.others,
            valid=valid_at(batch, student),
        )

    def extra_repr(self) -> str:
        return f"top={self.top}, temperature={self.temperature}"


def _check(
    who: str, top: int, temperature: float, between: float, inside: float, others: float
) -> None:
    """Refuse a setting that is not a finite number above 0."""
    check_positive(
        who, top=top, temperature=temperature, between=between, inside=inside, others=others
    )


def _logsumexp(logits: Tensor, members: Tensor) -> Tensor:
    return logits.masked_fill(~members, -torch.inf).logsumexp(dim=1, keepdim=True)
