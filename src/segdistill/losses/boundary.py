"""Boundary-privileged distillation (BPKD): the edges of classes separately from their bodies."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.channelwise_kl import channelwise_kl_outside
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.positions import (
    check_labels,
    check_valid,
    resize_valid,
    valid_labels,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import IGNORE_INDEX, Batch
from segdistill.upsampling import at_least, in_the_limit


def edge_masks(
    labels: Tensor,
    *,
    classes: int,
    size: tuple[int, int],
    window: int = 7,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    r"""Return the share of each position of a map that is at the edge of each class.

    A pixel is at the edge of class :math:`k` if its window, ``window`` pixels wide, contains both
    :math:`k` and another class: dilation minus erosion of the class's mask. Pixels without a class
    are treated like those outside the image: they make no edge. The shares are area averages over
    pixels.

    Args:
        labels: class ids.
        classes: number of classes, :math:`K`.
        size: height and width of the map.
        window: side of the window, odd.
        ignore_index: label of a pixel that has no class.

    Shape:
        labels ``(N, H', W')``; result ``(N, K, *size)``, float32.

    Returns:
        Shares from 0 to 1.
    """
    every = torch.arange(classes, device=labels.device)[:, None, None]
    shares = torch.empty((len(labels), classes, *size), device=labels.device)
    # One image at a time: for the whole batch, the masks at the size of the labels would be the
    # largest tensor of a training step.
    for share, label in zip(shares, labels, strict=True):
        masks = (label == every).to(torch.float32)
        for side in ((window, 1), (1, window)):
            padding = (side[0] // 2, side[1] // 2)
            masks = F.max_pool2d(masks, side, stride=1, padding=padding)
        masks *= masks.sum(dim=0) > 1
        share.copy_(F.adaptive_avg_pool2d(masks, size))
    return shares


@without_autocast
def boundary_edge(
    student: Tensor,
    teacher: Tensor,
    edges: Tensor,
    *,
    temperature: float = 4.0,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare class distributions at the edges of classes, each class with its own mean.

    With :math:`M_{kp}` the share of position :math:`p` at the edge of class :math:`k`,
    :math:`q(z)_p = \sigma(z_p \odot M_p / T)` over classes and sums over the valid positions of
    all images,

    .. math::
        L = T^2 \sum_k \frac{1}{\sum_p M_{kp}} \sum_p M_{kp}\,
            \mathrm{KL}(q(y)_p \,\|\, q(x)_p).

    A class without an edge adds nothing. It is 0 for equal maps. No gradient reaches the
    teacher. Half-precision maps are compared in float32. It needs memory for two maps beyond its
    inputs. It is not twice differentiable.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        edges: :math:`M`; see :func:`edge_masks`.
        temperature: :math:`T`, unitless.
        valid: True where a position counts, False where augmentation padded; None counts every
            position.

    Shape:
        student, teacher, edges ``(N, K, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding.

    Raises:
        ValueError: the tensors differ in shape or are not ``(N, K, H, W)``, ``valid`` has another
            size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`Boundary`.
    """
    check_same_maps("boundary_edge", student=student, teacher=teacher)
    check_same_maps("boundary_edge", student=student, teacher=edges)
    check_positive("boundary_edge", temperature=temperature)
    check_valid("boundary_edge", valid, student)
    flat = edges.flatten(start_dim=2)
    counted = torch.ones_like(flat[:, 0])
    if valid is not None:
        counted = valid.flatten(start_dim=1).to(flat.dtype)
    counts = share_of_count((flat @ counted[..., None]).sum(dim=0))  # (K, 1)
    # What the divergence of a position counts: its shares in the means of all classes.
    weights = ((1 / counts).mT @ flat)[:, 0] * counted
    weights = weights.reshape(edges[:, :1].shape)

    def divergence(student: Tensor, teacher: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        log_s = F.log_softmax(at_least(student) * edges / temperature, dim=1)
        log_t = F.log_softmax(at_least(teacher) * edges / temperature, dim=1)
        return ((log_t.exp() * (log_t - log_s)).sum(dim=1, keepdim=True) * weights).sum()

    total = sum_over_blocks(divergence, student, teacher, edges, weights, dim=2)
    return in_the_limit(total) * temperature**2


class Boundary(nn.Module):
    """:func:`boundary_edge` at the edges of classes, :func:`channelwise_kl` on their bodies.

    The parts are ``edge`` and ``body``, each multiplied by its weight; the body's maps are the
    logits times 1 minus the share of each position at the edge of the class. It leaves out the
    positions that augmentation padded, whatever their label.

    It needs memory for about six maps of logits beyond its inputs: the masks, and a gradient of
    each part, kept and scaled, since the two are logged apart. Before that the edges are found at
    the size of the labels, for all classes at once: 160 MiB, and nearly all of its time, for two
    label maps of 512×1024 with 19 classes.

    Args:
        edge_weight: weight of the part ``edge``.
        body_weight: weight of the part ``body``.
        temperature: temperature of both parts.
        window: side of the window in which edges are detected, in pixels of the labels; odd.

    Source:
        Liu et al., "BPKD: Boundary Privileged Knowledge Distillation For Semantic Segmentation",
        WACV 2024, arXiv:2306.08075. Its training code was never released: applying the masks both
        before and after the softmax, width 7, T = 4 and the weights (body 20; edge 50 times 2) come
        from a third-party reimplementation (lamnmh05/Semantic-Segmentation-with-Knowledge-
        Distilled-SegFormer), not checked against the paper, and so does the factor T². That code is
        trained with 40, 10 and T = 2, by AdamW. With SGD ``training.clip_norm`` is needed: the
        gradients for the logits add up to about the weight times K T over the K classes, thousands
        of times those of cross-entropy.
    """

    def __init__(
        self,
        edge_weight: float = 100.0,
        body_weight: float = 20.0,
        temperature: float = 4.0,
        window: int = 7,
    ) -> None:
        super().__init__()
        check_positive("Boundary", temperature=temperature, window=window)
        if window % 2 == 0:
            raise ValueError(f"Boundary: expected an odd window, got {window}; use {window + 1}")
        self.edge_weight = edge_weight
        self.body_weight = body_weight
        self.temperature = temperature
        self.window = window

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> dict[str, Tensor]:
        check_same_maps("Boundary", student=student, teacher=teacher)
        labels, classes = valid_labels(batch), student.shape[1]
        check_labels("Boundary", labels, student, classes=classes, ignore_index=IGNORE_INDEX)
        size = (student.shape[2], student.shape[3])
        edges = edge_masks(labels, classes=classes, size=size, window=self.window)
        valid = resize_valid(batch.valid, size)
        student, teacher, edges = full_precision(student, teacher.detach(), edges)
        edge = boundary_edge(student, teacher, edges, temperature=self.temperature, valid=valid)
        bodies = channelwise_kl_outside(
            student, teacher, edges, temperature=self.temperature, valid=valid
        )
        return {"edge": self.edge_weight * edge, "body": self.body_weight * bodies}

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, window={self.window}"
