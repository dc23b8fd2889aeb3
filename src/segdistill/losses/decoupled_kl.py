"""Decoupled distillation (DKD): the true class against the rest, and the rest among themselves."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_classes, check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.positions import check_labels, resize_labels, valid_labels
from segdistill.losses.maths.precision import without_autocast
from segdistill.types import IGNORE_INDEX, Batch
from segdistill.upsampling import at_least, in_the_limit


@without_autocast
def decoupled_kl(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    temperature: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    r"""Compare two maps of logits separately for the labelled class and for the other classes.

    At a position with label :math:`k`, let :math:`b(y) = (\sigma(y/T)_k, 1 - \sigma(y/T)_k)`
    and let :math:`r(y)` be the softmax of :math:`y/T` over the classes other than :math:`k`.
    The loss is the mean over the labelled positions :math:`V` of all images,

    .. math::
        L = \frac{T^2}{|V|} \sum_{p \in V}
            \alpha\, \mathrm{KL}(b(y_p) \| b(x_p)) + \beta\, \mathrm{KL}(r(y_p) \| r(x_p)).

    It is 0 for equal maps. Positions without a label have no target and are left out;
    if no position is labelled, the loss is 0. No gradient reaches the teacher.
    Half-precision maps are compared in float32.

    Use it when the teacher is nearly certain: what it knows about the other classes then hardly
    shows in :func:`pixelwise_kl`. It needs memory for two maps beyond its inputs. It is not twice
    differentiable.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        labels: class ids; resized to the map by nearest neighbour if their size differs.
        temperature: :math:`T`, unitless.
        alpha: :math:`\alpha`, weight of the labelled class against the rest.
        beta: :math:`\beta`, weight of the rest; 8 is the authors' choice for ResNets.
        ignore_index: label of a position that has no class.

    Shape:
        student, teacher ``(N, C, H, W)``; labels ``(N, H', W')``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape, are not ``(N, C, H, W)`` or have one class, a label is
            not a class, or a hyperparameter is not a finite number above 0.
        TypeError: the labels are not int64.

    Source:
        Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, arXiv:2203.08679, Eq. 7, and
        megvii-research/mdistiller; they apply it per image, here it is per position. That code
        masks with logits of -1000 and takes the log of a softmax; here both are exact.
    """
    check_same_maps("decoupled_kl", student=student, teacher=teacher)
    check_positive("decoupled_kl", temperature=temperature, alpha=alpha, beta=beta)
    classes = student.shape[1]
    check_classes("decoupled_kl", student)
    check_labels("decoupled_kl", labels, student, classes=classes, ignore_index=ignore_index)

    def divergence(student: Tensor, teacher: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        binary_s, rest_s = _decoupled(at_least(student / temperature), target)
        binary_t, rest_t = _decoupled(at_least(teacher / temperature), target)
        divergences = alpha * _kl(binary_t, binary_s) + beta * _kl(rest_t, rest_s)
        return (divergences * labelled).sum()

    labels = resize_labels(labels, student.shape[2:])[:, None]
    labelled = labels != ignore_index
    target = torch.where(labelled, labels, 0)
    total = in_the_limit(sum_over_blocks(divergence, student, teacher, target, labelled, dim=2))
    return total * temperature**2 / share_of_count(labelled.sum())


class DecoupledKL(nn.Module):
    """Module form of :func:`decoupled_kl`; it has no learnable parameters.

    It leaves out the positions that augmentation padded, whatever their label.

    Args:
        temperature: see :func:`decoupled_kl`.
        alpha: see :func:`decoupled_kl`.
        beta: see :func:`decoupled_kl`.
    """

    def __init__(self, temperature: float = 4.0, alpha: float = 1.0, beta: float = 8.0) -> None:
        super().__init__()
        check_positive("DecoupledKL", temperature=temperature, alpha=alpha, beta=beta)
        self.temperature = temperature
        self.alpha = alpha
        self.beta = beta

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        return decoupled_kl(
            student,
            teacher,
            valid_labels(batch),
            temperature=self.temperature,
            alpha=self.alpha,
            beta=self.beta,
        )

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, alpha={self.alpha}, beta={self.beta}"


def _decoupled(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of (target, rest), and of the others with 0 at the target."""
    others = logits.scatter(1, target, -torch.inf)
    rest = others.logsumexp(dim=1, keepdim=True)
    either = torch.cat((logits.gather(1, target), rest), dim=1)
    # 0 in place of -inf: the target is not a possible outcome, and its term below is exp(-inf) * 0.
    among = (others - rest).scatter(1, target, 0.0)
    return F.log_softmax(either, dim=1), among


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p ‖ q) over dimension 1."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=1, keepdim=True)
