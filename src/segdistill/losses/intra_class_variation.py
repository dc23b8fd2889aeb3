"""Intra-class feature variation (IFVD): match how far pixels stray from their class."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_maps
from segdistill.losses.maths.class_cosines import class_cosines
from segdistill.losses.maths.class_means import one_hot
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.positions import check_labels, resize_labels, valid_labels
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import IGNORE_INDEX, Batch


@without_autocast
def intra_class_variation(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    classes: int,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    r"""Compare how similar each pixel is to the mean of its class, for maps of any two widths.

    With :math:`\mu_{nk}` the mean of the features over the positions of image :math:`n` that
    have class :math:`k`, :math:`V` the labelled positions of all images and
    :math:`m_x(n, p) = \cos(x_{np}, \mu_{n k(p)})`,

    .. math:: L = \frac{1}{|V|} \sum_{(n, p) \in V} (m_x(n, p) - m_y(n, p))^2.

    Gradient flows through the student's means as well. Positions without a label are left out;
    if no position is labelled, the loss is 0. It does not change when a map is multiplied by a
    positive number. No gradient reaches the teacher. Half-precision maps are compared in float32.
    It is not twice differentiable.

    Use it when labels are dense: it only compares labelled positions. It needs memory for little
    more than one map beyond its inputs, the gradient, and costs two products of the features with
    the class means per map.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same height and width.
        labels: class ids; resized to the map by nearest neighbour if their size differs.
        classes: number of classes, :math:`K`.
        ignore_index: label of a position that has no class.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; labels ``(N, H', W')``; result
        ``()``.

    Returns:
        The loss, unitless, from 0 to 4.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, or a label is not a class.
        TypeError: the labels are not int64.

    Source:
        Wang et al., "Intra-class Feature Variation Distillation for Semantic Segmentation", ECCV
        2020, Eqs. 2 to 4; weight 50 (paper), 200 (the code of YukangWang/IFVD), 20 (CIRKD's
        comparison). There the sum is divided by the number of all positions, including unlabelled
        ones, which add 0; here by that of the labelled ones.
    """
    caller = "intra_class_variation"
    check_maps(caller, student=student, teacher=teacher)
    check_directions(caller, student)
    check_labels(caller, labels, student, classes=classes, ignore_index=ignore_index)

    labels = resize_labels(labels, student.shape[2:]).flatten(start_dim=1)
    labels = torch.where(labels == ignore_index, -1, labels)
    student, teacher = full_precision(student, teacher.detach())
    membership = one_hot(labels, classes=classes, dtype=student.dtype)
    target, variation = (
        class_cosines(x.flatten(start_dim=2), membership, labels) for x in (teacher, student)
    )
    count = share_of_count(membership.sum())
    # Positions without a class are 0 on both sides.
    return (variation - target).square().sum() / count


class IntraClassVariation(nn.Module):
    """Module form of :func:`intra_class_variation`; it has no learnable parameters.

    It leaves out the positions that augmentation padded, whatever their label.

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        labels = valid_labels(batch)
        return intra_class_variation(student, teacher, labels, classes=self.classes)

    def extra_repr(self) -> str:
        return f"classes={self.classes}"
