"""Grouped decoupled distillation (GDKD): likely classes, the others, and both as groups."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_with_slopes
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

    def divergence(student: Tensor, teacher: Tensor, *mask: Tensor) -> tuple[Tensor, Tensor]:
        group = teacher.topk(top, dim=1).indices
        log_bt, among_t = _grouped(teacher / temperature, group)
        log_bs, among_s = _grouped(student / temperature, group)
        b_s, b_t, r_t = log_bs.exp(), log_bt.exp(), among_t.exp()
        terms = among_t.sub_(among_s).mul_(r_t)
        values = inside * terms.gather(1, group).sum(dim=1, keepdim=True)
        values += others * terms.scatter_(1, group, 0.0).sum(dim=1, keepdim=True)
        values += between * (b_t * (log_bt - log_bs)).sum(dim=1, keepdim=True)
        # A group's own divergence sends r(x) - r(y) to its logits, the one between the groups
        # r(x) times b(x) - b(y).
        across, r_s = between * (b_s - b_t), among_s.exp_()
        top_s, top_t = r_s.gather(1, group), r_t.gather(1, group)
        slope = r_s.mul_(others + across[:, 1:]).sub_(r_t, alpha=others)
        slope.scatter_(1, group, top_s * (inside + across[:, :1]) - inside * top_t)
        if mask:
            values.masked_fill_(~mask[0], 0.0)
            slope.masked_fill_(~mask[0], 0.0)
        return values.sum(), slope.div_(temperature)

    mask = () if valid is None else (valid[:, None],)
    total = in_the_limit(sum_with_slopes(divergence, student, teacher, *mask, dim=2))
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


def _grouped(logits: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of (group, others), and of each class within its own group."""
    logits = at_least(logits)
    members = logits.gather(1, group)
    first = members.logsumexp(dim=1, keepdim=True)
    second = logits.scatter(1, group, -torch.inf).logsumexp(dim=1, keepdim=True)
    among = logits.sub_(second).scatter_(1, group, members - first)
    return F.log_softmax(torch.cat((first, second), dim=1), dim=1), among
