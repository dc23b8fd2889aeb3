"""Intra-class feature variation (IFVD): match how far pixels stray from their class."""

from typing import Any

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_maps
from segdistill.losses.maths.class_means import class_means, one_hot
from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.positions import check_labels, resize_labels, valid_labels
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.unit import SHORTEST, length
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
    target, variation = (_variation(x, membership, labels) for x in (teacher, student))
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


def _variation(maps: Tensor, membership: Tensor, labels: Tensor) -> Tensor:
    """Return the cosine between each position and its class mean, ``(N, P)``, 0 without a class."""
    features = maps.flatten(start_dim=2)
    cosines: Tensor = _Variation.apply(features, membership, labels)  # type: ignore[no-untyped-call]
    return cosines


class _Variation(torch.autograd.Function):
    """Cosines with class means that keep no second map for the gradient.

    The features enter through their norms, their products with the means and the means themselves;
    autograd would hold a map of gradients for each of the three.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, membership: Tensor, labels: Tensor) -> Tensor:
        index = labels.clamp_min(0)[:, None]
        means, counts = class_means(features, membership)
        norms = length(features, dim=1)[:, 0].clamp_min(SHORTEST)
        mean_norms = length(means, dim=1)[:, 0].clamp_min(SHORTEST)
        products = (means / mean_norms[:, None]).mT @ features
        cosines = products.gather(1, index)[:, 0] / norms * (labels >= 0)
        ctx.save_for_backward(features, membership, means, counts, norms, mean_norms, cosines)
        return cosines

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        r"""Return the gradient, using a single map.

        With f a position, m its class mean, c their cosine and g the incoming gradient,
        c = f·m / (|f| |m|) sends g (m/|m| - c f/|f|) / |f| to f directly, and
        (Σ g f/|f| - m/|m| Σ g c) / (|m| count), summed over the class, through the mean.
        Where a norm is below the shortest length it is a constant, so its term drops out.
        """
        features, membership, means, counts, norms, mean_norms, cosines = ctx.saved_tensors
        scaled = upstream / norms
        directions = means / mean_norms[:, None]
        through = features @ (membership * scaled[:, None]).mT
        spread = (membership @ (upstream * cosines)[..., None])[:, None, :, 0]
        through = through - directions * spread * (mean_norms > SHORTEST)[:, None]
        through = through / (mean_norms * counts.clamp_min(1))[:, None]
        gradient = features * (-scaled * cosines / norms * (norms > SHORTEST))[:, None]
        gradient.baddbmm_(directions, membership * scaled[:, None])
        gradient.baddbmm_(through, membership)
        return gradient, None, None
