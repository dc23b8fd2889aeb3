"""Adaptive perspective (APD): match how positions relate to the class means of the batch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_directions, check_positive, check_same_maps
from segdistill.losses.maths.class_means import one_hot
from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.gather import gather_images, share_of_count, sum_over_processes
from segdistill.losses.maths.positions import (
    check_labels,
    check_valid,
    count_positions,
    leave_out,
    resize_labels,
    resize_valid,
    valid_labels,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.unit import SHORTEST, length, unit
from segdistill.losses.modules.projector import check_widths
from segdistill.types import IGNORE_INDEX, Batch


@without_autocast
def perspective(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    classes: int,
    scale: float = 10.0,
    ignore_index: int = IGNORE_INDEX,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Compare cosines with the class means of the batch, and the means themselves.

    With :math:`\mu_k` the mean of the features of class :math:`k` over the images of all processes,
    :math:`s_x(p)_k = a \cos(x_p, \mu^x_k)` over the classes :math:`K'` present in the batch and V
    the valid positions of all images,

    .. math::
        L_{map} = \frac{1}{|V|} \sum_{p \in V} \mathrm{KL}(\sigma(s_y(p)) \,\|\, \sigma(s_x(p))),
        \qquad
        L_{mean} = \frac{1}{|K'|} \sum_{k \in K'} 1 - \cos(\mu^x_k, \mu^y_k).

    Gradient flows through the student's means as well, those of other processes included. Both are
    0 for equal maps, and if no position is labelled. No gradient reaches the teacher.
    Half-precision maps are compared in float32. It needs memory for two maps beyond its inputs,
    the gradients through the cosines and through the means, and with ``valid`` for a copy of both.
    It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        labels: class ids; resized to the map by nearest neighbour if their size differs.
        classes: number of classes.
        scale: :math:`a`, the inverse of a temperature.
        ignore_index: label of a position that has no class.
        valid: True where a position counts, False where augmentation padded; None counts every
            position.

    Shape:
        student, teacher ``(N, C, H, W)``; labels ``(N, H', W')``; valid ``(N, H, W)``; results
        ``()``.

    Returns:
        The loss of the maps in nats and that of the means from 0 to 2.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, a label is not a class,
            ``valid`` has another size, or the scale is not a finite number above 0.
        TypeError: the labels are not int64, or ``valid`` is not bool.

    Source:
        see :class:`Perspective`.
    """
    who = "perspective"
    check_same_maps(who, student=student, teacher=teacher)
    check_directions(who, student)
    check_labels(who, labels, student, classes=classes, ignore_index=ignore_index)
    check_positive(who, scale=scale)
    check_valid(who, valid, student)
    labels = resize_labels(labels, student.shape[2:]).flatten(start_dim=1)
    labels = torch.where(labels == ignore_index, -1, labels)
    student, teacher = full_precision(student, teacher.detach())
    count = count_positions(student, valid)
    counted = None if valid is None else valid.flatten(start_dim=1)
    features = [leave_out(x, valid).flatten(start_dim=2) for x in (student, teacher)]
    membership = one_hot(labels, classes=classes, dtype=student.dtype)
    numbers = sum_over_processes(membership.sum(dim=(0, 2)))
    present = numbers > 0
    means = [
        unit(gather_images(x @ membership.mT).sum(dim=0) / numbers.clamp_min(1), dim=0)
        for x in features
    ]
    scores = [
        (_cosines(x, mean) * scale).masked_fill(~present[:, None], torch.finfo(x.dtype).min)
        for x, mean in zip(features, means, strict=True)
    ]
    log_s, log_t = (F.log_softmax(score, dim=1) for score in scores)
    divergence = (log_t.exp() * (log_t - log_s)).sum(dim=1)
    if counted is not None:
        divergence = divergence.masked_fill(~counted, 0.0)
    apart = (1 - (means[0] * means[1]).sum(dim=0)) * present
    return divergence.sum() / count, apart.sum() / present.sum().clamp_min(1)


class Perspective(nn.Module):
    """:func:`perspective` of the student's map and the teacher's adapted map.

    The adapter is a 1×1 convolution that starts as the identity; with a classifier of its own it is
    trained on the labels, as a mean over labelled positions, and gets no gradient from the
    comparison. Both are trained with the student but are part of neither the student nor the
    teacher.

    The parts are ``map``, ``mean`` and ``adapter``, the first two multiplied by their weights. It
    leaves out the positions that augmentation padded, whatever their label.

    It needs memory for about four maps beyond its inputs: the adapted map, and the gradients of the
    parts, which are logged apart.

    Args:
        teacher_channels: channels of both maps, the student's after its projector.
        classes: number of classes.
        map_weight: weight of the part ``map``.
        mean_weight: weight of the part ``mean``.
        scale: see :func:`perspective`.

    Source:
        Tian et al., "Adaptive Perspective Distillation for Semantic Segmentation", IEEE TPAMI 2023,
        and dvlab-research/APD (no licence): scale 10, mean 0.5, and a divergence of weight 10 that
        is also averaged over classes, here 10 / 19 for 19 classes. The means are over the whole
        batch in that code and over single images in Niemann et al.'s (2023) reading of the paper.
        The linear adapter that starts as the identity is ours.
    """

    def __init__(
        self,
        teacher_channels: int,
        classes: int,
        map_weight: float = 0.53,
        mean_weight: float = 0.5,
        scale: float = 10.0,
    ) -> None:
        super().__init__()
        check_positive("Perspective", scale=scale)
        self.channels = teacher_channels
        self.classes = classes
        self.map_weight = map_weight
        self.mean_weight = mean_weight
        self.scale = scale
        self.adapter = nn.Conv2d(teacher_channels, teacher_channels, kernel_size=1)
        nn.init.dirac_(self.adapter.weight)
        nn.init.zeros_(self.adapter.bias)  # type: ignore[arg-type]
        self.classifier = nn.Conv2d(teacher_channels, classes, kernel_size=1)

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> dict[str, Tensor]:
        check_same_maps("Perspective", student=student, teacher=teacher)
        widths = (self.channels, self.channels)
        check_widths("Perspective", widths, student=student, teacher=teacher)
        labels = valid_labels(batch)
        valid = resize_valid(batch.valid, student.shape[2:])
        (given,) = full_precision(teacher.detach())
        adapted = self.adapter(given.to(self.adapter.weight.dtype))
        of_map, of_mean = perspective(
            student, adapted, labels, classes=self.classes, scale=self.scale, valid=valid
        )
        (logits,) = full_precision(self.classifier(adapted))
        labels = resize_labels(labels, logits.shape[2:])
        learnt = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
        return {
            "map": self.map_weight * of_map,
            "mean": self.mean_weight * of_mean,
            "adapter": learnt / share_of_count((labels != IGNORE_INDEX).sum()),
        }

    def extra_repr(self) -> str:
        return f"classes={self.classes}, scale={self.scale}"


def _cosines(features: Tensor, directions: Tensor) -> Tensor:
    """Return the cosine between each position and each of K unit vectors, ``(N, K, P)``."""
    cosines: Tensor = _Cosines.apply(features, directions)  # type: ignore[no-untyped-call]
    return cosines


class _Cosines(torch.autograd.Function):
    """Cosines whose gradient needs one map, not one each for products and norms."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, directions: Tensor) -> Tensor:
        norms = length(features, dim=1).clamp_min(SHORTEST)
        cosines = directions.T @ features / norms
        ctx.save_for_backward(features, directions, norms, cosines)
        return cosines

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return (Σ g_k (d_k - c_k f/|f|)) / |f| for f, and the sum of g_k f/|f| for each d_k.

        Where a norm is below the shortest length it is a constant, so its term drops out.
        """
        features, directions, norms, cosines = ctx.saved_tensors
        scaled = upstream / norms
        along = (scaled * cosines).sum(dim=1, keepdim=True) / norms * (norms > SHORTEST)
        gradient = features * -along
        gradient.baddbmm_(directions.expand(len(features), -1, -1), scaled)
        return gradient, (features @ scaled.mT).sum(dim=0)
