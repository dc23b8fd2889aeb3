"""Hard labels: learn only the class that the teacher prefers at every pixel."""

from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_classes, check_same_maps
from segdistill.losses.maths.positions import check_valid, count_positions, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import IGNORE_INDEX, Batch


@without_autocast
def hard_labels(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the student's class distribution with the teacher's class at each pixel.

    With :math:`V` the valid positions of all images, the loss is the mean cross-entropy,

    .. math::
        L = -\frac{1}{|V|} \sum_{p \in V} \log \sigma(x_p)_{k_p}, \qquad
        k_p = \arg\max_k y_{pk}.

    It is a control: the gain of a method that is no better than this one does not come from the
    softness of the teacher's distribution. Half-precision maps are compared in float32.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape; ties go to the first class.
        valid: True where a position counts, False where augmentation padded; None counts
            every position. If no position is valid, the loss is 0.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats, at least 0; for equal maps it is 0 only in the limit of full certainty.

    Raises:
        ValueError: the maps differ in shape, are not ``(N, C, H, W)`` or have one class, or
            ``valid`` has another size.
        TypeError: ``valid`` is not bool.

    Source:
        Lee, "Pseudo-Label", ICML 2013 workshop, with the teacher in place of the student itself.
    """
    check_same_maps("hard_labels", student=student, teacher=teacher)
    check_classes("hard_labels", student)
    check_valid("hard_labels", valid, student)
    student, teacher = full_precision(student, teacher.detach())
    classes = teacher.argmax(dim=1)
    if valid is not None:
        classes = classes.masked_fill(~valid, IGNORE_INDEX)
    total = F.cross_entropy(student, classes, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / count_positions(student, valid)


class HardLabels(nn.Module):
    """Module form of :func:`hard_labels`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return hard_labels(student, teacher, valid=valid_at(batch, student))
