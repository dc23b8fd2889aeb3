"""Adaptive cross-entropy (ACE): the teacher's distribution where it is right, else the label."""

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
def adaptive_cross_entropy(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    r"""Cross-entropy against the teacher where it predicts the label, else against the label.

    With :math:`V` the labelled positions of all images and :math:`k_p` their labels,

    .. math::
        L = -\frac{T^2}{|V|} \sum_{p \in V} \sum_k q_{pk} \log \sigma(x_p / T)_k, \quad
        q_p = \sigma(y_p / T) \text{ where } \arg\max_k y_{pk} = k_p,
        \text{ else the indicator of } k_p.

    So the teacher's mistakes are not passed on. It is a cross-entropy, not a divergence: for equal
    maps it is the teacher's entropy, not 0. Positions without a label are left out; if no position
    is labelled, the loss is 0. No gradient reaches the teacher. Half-precision maps are compared in
    float32. It needs memory for two maps beyond its inputs. It is not twice differentiable.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        labels: class ids; resized to the map by nearest neighbour if their size differs.
        temperature: :math:`T`, unitless.
        ignore_index: label of a position that has no class.

    Shape:
        student, teacher ``(N, K, H, W)``; labels ``(N, H', W')``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0. A class to which the teacher gives -inf is
        left out of its distribution; if the student gives -inf to a class it has to learn, the loss
        is infinite.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``, a label is not a class, or
            the temperature is not a finite number above 0.
        TypeError: the labels are not int64.

    Source:
        Park and Heo, "Knowledge Distillation for Semantic Segmentation Using Channel and Spatial
        Correlations and Adaptive Cross Entropy", Sensors 2020, 20(16):4616, based on the abstract:
        the full equations were not available, so this is our reading of it, and the temperature is
        ours.
    """
    who = "adaptive_cross_entropy"
    check_same_maps(who, student=student, teacher=teacher)
    check_classes(who, student)
    check_positive(who, temperature=temperature)
    classes = student.shape[1]
    check_labels(who, labels, student, classes=classes, ignore_index=ignore_index)

    def entropy(student: Tensor, teacher: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        log_s = F.log_softmax(at_least(student / temperature), dim=1)
        of_teacher = (at_least(teacher / temperature).softmax(dim=1) * log_s).sum(
            dim=1, keepdim=True
        )
        of_label = log_s.gather(1, target)
        right = teacher.argmax(dim=1, keepdim=True) == target
        return -(torch.where(right, of_teacher, of_label) * labelled).sum()

    labels = resize_labels(labels, student.shape[2:])[:, None]
    labelled = labels != ignore_index
    target = torch.where(labelled, labels, 0)
    total = in_the_limit(sum_over_blocks(entropy, student, teacher, target, labelled, dim=2))
    return total * temperature**2 / share_of_count(labelled.sum())


class AdaptiveCrossEntropy(nn.Module):
    """Module form of :func:`adaptive_cross_entropy`; it has no learnable parameters.

    It leaves out the positions that augmentation padded, whatever their label.

    Args:
        temperature: see :func:`adaptive_cross_entropy`.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive("AdaptiveCrossEntropy", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        labels = valid_labels(batch)
        return adaptive_cross_entropy(student, teacher, labels, temperature=self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
