"""Inter-class distance (IDD): match how far apart the classes of an image are."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_maps
from segdistill.losses.maths.class_means import class_means, one_hot
from segdistill.losses.maths.positions import (
    check_labels,
    check_valid,
    count_images,
    resize_labels,
    resize_valid,
    valid_labels,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import IGNORE_INDEX, Batch


@without_autocast
def inter_class_distance(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    classes: int,
    ignore_index: int = IGNORE_INDEX,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the distances between the class means of each image, for maps of any two widths.

    With :math:`\mu_{nk}` the mean of the features of class :math:`k` in image :math:`n`,
    :math:`e_{nkl} = \|\mu_{nk} - \mu_{nl}\|_2` and :math:`Q_n` the pairs of classes present in the
    image,

    .. math::
        L = \frac{1}{N} \sum_n \frac{1}{|Q_n|} \sum_{(k < l) \in Q_n} (e^x_{nkl} - e^y_{nkl})^2.

    Distances are in units of the features, whose scale therefore matters. An image with fewer than
    two classes adds 0. No gradient reaches the teacher. Half-precision maps are compared in
    float32. It needs memory for one map beyond its inputs, for the gradient.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same height and width.
        labels: class ids; resized to the map by nearest neighbour if their size differs.
        classes: number of classes.
        ignore_index: label of a position that has no class.
        valid: True where a position counts, False where augmentation padded; an image without any
            is left out of the mean. None counts every image. Padded positions have no label.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; labels ``(N, H', W')``; valid
        ``(N, H, W)``; result ``()``.

    Returns:
        The loss in squared units of the features, at least 0.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, a label is not a class, or
            ``valid`` has another size.
        TypeError: the labels are not int64, or ``valid`` is not bool.

    Source:
        Zhang, Zhou and Tu, "Distilling Inter-Class Distance for Semantic Segmentation", IJCAI 2022,
        arXiv:2205.03650. The paper sums over pairs; it is uncertain whether its means are per
        image, as here, or over the batch, and the published weights are uncertain too. A third
        party's code resizes labels bilinearly, which creates classes that are not there. The
        paper's position term is :class:`PositionPrediction`.
    """
    caller = "inter_class_distance"
    check_maps(caller, student=student, teacher=teacher)
    check_labels(caller, labels, student, classes=classes, ignore_index=ignore_index)
    check_valid(caller, valid, student)
    images = count_images(student, valid)
    labels = resize_labels(labels, student.shape[2:]).flatten(start_dim=1)
    labels = torch.where(labels == ignore_index, -1, labels)
    student, teacher = full_precision(student, teacher.detach())
    membership = one_hot(labels, classes=classes, dtype=student.dtype)
    present = membership.sum(dim=2) > 0
    pairs = (present[:, :, None] & present[:, None, :]).triu(diagonal=1)
    ours, theirs = (_distances(x, membership, pairs) for x in (student, teacher))
    counts = pairs.sum(dim=(1, 2)).clamp_min(1)
    return ((ours - theirs).square().sum(dim=(1, 2)) / counts).sum() / images


class InterClassDistance(nn.Module):
    """Module form of :func:`inter_class_distance`; it has no learnable parameters.

    It leaves out the positions that augmentation padded, whatever their label.

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        check_maps("inter_class_distance", student=student, teacher=teacher)
        labels = valid_labels(batch)
        valid = resize_valid(batch.valid, student.shape[2:])
        return inter_class_distance(student, teacher, labels, classes=self.classes, valid=valid)

    def extra_repr(self) -> str:
        return f"classes={self.classes}"


def _distances(maps: Tensor, membership: Tensor, pairs: Tensor) -> Tensor:
    """Return the distances between class means, ``(N, K, K)``, 0 where a class is absent."""
    means, _ = class_means(maps.flatten(start_dim=2), membership)
    exact = "donot_use_mm_for_euclid_dist"  # the product form cancels
    return torch.cdist(means.mT.contiguous(), means.mT.contiguous(), compute_mode=exact) * pairs
