"""Cross-entropy at full size without ever holding the full-size logits."""

from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.checks import check_batches, check_classes
from segdistill.losses.maths.launch import fits_kernel
from segdistill.losses.maths.positions import check_labels
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.tiled import sum_over_tiles
from segdistill.types import IGNORE_INDEX
from segdistill.upsampling import Tile


@without_autocast
def upsampled_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = IGNORE_INDEX,
    divisor: Tensor | None = None,
) -> Tensor:
    r"""Compare logits, resized bilinearly to the labels, with the labels.

    With :math:`z_p` the resized logits at position :math:`p`, :math:`y_p` its label and
    :math:`V` the labelled positions,

    .. math::
        L = -\frac{1}{\sum_{p \in V} w_{y_p}} \sum_{p \in V} \Big(
            (1 - \epsilon) w_{y_p} \log \sigma(z_p)_{y_p}
            + \frac{\epsilon}{K} \sum_k w_k \log \sigma(z_p)_k \Big),

    the value of ``F.cross_entropy(F.interpolate(logits, size, mode="bilinear"), labels)``. The
    resized logits, K times the size of an image, exist only one tile at a time, and so does their
    gradient: from stride 8 this takes less than a tenth of the memory. On a GPU with Triton they
    exist nowhere: one kernel computes loss and gradient, if the size is 2 to 32 times that of the
    logits and these are not float64. It is not twice differentiable. Half-precision logits are
    compared in float32.

    Args:
        logits: logits at their own stride, unbounded.
        labels: int64 class ids.
        weight: :math:`w` of each class; None weighs all classes equally.
        label_smoothing: :math:`\epsilon`, in [0, 1].
        ignore_index: label of positions that have no class.
        divisor: what the sum over positions is divided by, for example that of a larger batch these
            images are part of; None takes the weight of the labelled positions here.

    Shape:
        logits ``(N, K, h, w)``; labels ``(N, H, W)``; weight ``(K,)``; result ``()``.

    Returns:
        The loss in nats, at least 0; if no position is labelled, 0 with a graph.

    Raises:
        ValueError: the logits are not ``(N, K, h, w)``, the labels not ``(N, H, W)``, a label is
            neither a class nor ignored, there is not one weight per class, or the smoothing is
            outside [0, 1].
        TypeError: the labels are not int64.

    Source:
        :func:`torch.nn.functional.cross_entropy`, whose equation it is.
    """
    who = "upsampled_cross_entropy"
    check_batches(who, student=logits, teacher=logits)
    check_classes(who, logits)
    classes = logits.shape[1]
    check_labels(who, labels, logits, classes=classes, ignore_index=ignore_index)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{who}: expected label_smoothing in [0, 1], got {label_smoothing}")
    if weight is not None and weight.shape != (classes,):
        raise ValueError(
            f"{who}: expected weight of shape ({classes},), one per class, "
            f"got {tuple(weight.shape)}"
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    weights = None if weight is None else weight.detach().to(dtype)
    smooth = label_smoothing / classes

    def on_tile(values: Tensor, image: slice, tile: Tile) -> tuple[Tensor, Tensor]:
        truth = labels[image, tile.rows, tile.columns][:, None]
        counts = truth != ignore_index
        truth = truth.where(counts, 0)
        log_p = F.log_softmax(values, dim=1)
        hit = counts.to(dtype) if weights is None else weights[truth] * counts
        hit = hit * (1 - label_smoothing)
        value = -(log_p.gather(1, truth) * hit).sum()
        if not label_smoothing:
            return value, log_p.exp_().mul_(hit).scatter_add_(1, truth, -hit)
        share = values.new_full((classes,), smooth) if weights is None else smooth * weights
        spread = share[:, None, None] * counts
        value -= (log_p * spread).sum()
        slope = log_p.exp_().mul_(hit + share.sum() * counts)
        return value, slope.sub_(spread).scatter_add_(1, truth, -hit)

    def at_once(kernels: ModuleType, needs_gradient: bool) -> tuple[Tensor, Tensor | None]:
        found: tuple[Tensor, Tensor | None] = kernels.cross_entropy_sum(
            logits,
            labels,
            weights,
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            needs_gradient=needs_gradient,
        )
        return found

    size = (labels.shape[1], labels.shape[2])
    kernel = at_once if fits_kernel(size, logits) else None
    total = sum_over_tiles(on_tile, logits, size, kernel=kernel)
    if divisor is not None:
        return total / divisor
    labelled = labels != ignore_index
    if weights is None:
        return total / labelled.sum().clamp(min=1)
    mass = (weights.double() * _histogram(labels, labelled, classes)).sum()
    return total / mass.where(mass > 0, 1).to(dtype)


def _histogram(labels: Tensor, labelled: Tensor, classes: int) -> Tensor:
    """Return how many positions have each class; labels without a class are not counted."""
    counts = labels.new_zeros(classes + 1)
    rows = labels.where(labelled, classes).flatten()
    return counts.scatter_add_(0, rows, torch.ones_like(rows))[:classes]
