"""Predictions at full size: whole images, several scales, mirrored, by sliding window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive


def predict_logits(
    network: nn.Module, images: Tensor, *, size: tuple[int, int] | None = None
) -> Tensor:
    """Return a network's logits, resized to the images.

    Args:
        network: maps float images in [0, 1] to ``SegOutput``; its mode is not changed, so
            set evaluation mode first, as :func:`segdistill.scoring.evaluator.evaluate` does.
        images: RGB, uint8 or floating-point in [0, 1].
        size: height and width of the result, those of the images by default.

    Shape:
        images ``(N, 3, H, W)``; result ``(N, K, H, W)`` float32, or ``(N, K, *size)``.

    Raises:
        ValueError: the images are not ``(N, 3, H, W)``, or a logit is nan or infinite.
    """
    images = _as_float(images)
    height, width = size or (images.shape[-2], images.shape[-1])
    logits: Tensor = network(images).logits.float()
    if not logits.isfinite().all():
        raise ValueError(
            "predict: expected finite logits, got nan or infinite ones; "
            "the network has diverged, or 16-mixed overflowed: try 32-true"
        )
    if logits.shape[-2:] == (height, width):
        return logits
    return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)


def predict(
    network: nn.Module,
    images: Tensor,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    window: tuple[int, int] | None = None,
    overlap: float = 1 / 3,
    size: tuple[int, int] | None = None,
) -> Tensor:
    r"""Return class probabilities at the size of the images, averaged over views.

    A view is the image at one scale, mirrored or not. Each view's logits are resized to the
    result before the softmax :math:`\sigma`, and the probabilities are averaged,

    .. math:: p = \frac{1}{|V|} \sum_{v \in V} v^{-1}(\sigma(f(v(x)))).

    Images are never padded. With a window, each view is cut into windows that are predicted
    one by one, and a position covered by several has the mean of their probabilities.

    Args:
        network: see :func:`predict_logits`.
        images: RGB, uint8 or floating-point in [0, 1].
        scales: factors of the image size, one view each; shrinking is antialiased.
        flip: also predict each view mirrored left to right.
        window: height and width of a sliding window, in pixels of the scaled image; a window
            larger than a view is the whole view. None predicts the whole view at once.
        overlap: smallest share of a window that it has in common with the next, in [0, 1).
        size: height and width of the result, those of the images by default.

    Shape:
        images ``(N, 3, H, W)``; result ``(N, K, H, W)`` float32, or ``(N, K, *size)``.

    Returns:
        Probabilities that sum to 1 over the classes.

    Raises:
        ValueError: no scale, or one not above 0; an empty window; an overlap outside [0, 1);
            or as :func:`predict_logits`.
    """
    _check_views(scales, window, overlap)
    images = _as_float(images)
    height, width = size or (images.shape[-2], images.shape[-1])
    total: Tensor | None = None
    for view, mirrored in _views(images, scales, flip):
        if window is None:
            probabilities = predict_logits(network, view, size=(height, width)).softmax(dim=1)
        else:
            probabilities = _slide(network, view, window, overlap)
            if probabilities.shape[-2:] != (height, width):
                probabilities = F.interpolate(
                    probabilities, (height, width), mode="bilinear", align_corners=False
                )
        if mirrored:
            probabilities = probabilities.flip(-1)
        total = probabilities if total is None else total.add_(probabilities)
    if total is None:
        raise ValueError("predict: expected at least one scale, got none; give scales=(1.0,)")
    return total / (len(scales) * (1 + flip))


def _views(images: Tensor, scales: Sequence[float], flip: bool) -> Iterator[tuple[Tensor, bool]]:
    """Yield the scaled images and whether they are mirrored."""
    height, width = images.shape[-2:]
    for scale in scales:
        shape = (max(1, round(scale * height)), max(1, round(scale * width)))
        view = images
        if shape != (height, width):
            view = F.interpolate(
                images, shape, mode="bilinear", align_corners=False, antialias=scale < 1
            )
        yield view, False
        if flip:
            yield view.flip(-1), True


def _slide(network: nn.Module, images: Tensor, window: tuple[int, int], overlap: float) -> Tensor:
    """Return the probabilities of images predicted window by window, at their size."""
    height, width = images.shape[-2:]
    total: Tensor | None = None
    cover = images.new_zeros(1, 1, height, width)
    for top, bottom in _spans(height, window[0], overlap):
        for left, right in _spans(width, window[1], overlap):
            part = predict_logits(network, images[..., top:bottom, left:right]).softmax(dim=1)
            if total is None:
                total = part.new_zeros(*part.shape[:2], height, width)
            total[..., top:bottom, left:right] += part
            cover[..., top:bottom, left:right] += 1
    if total is None:
        raise ValueError(f"predict: expected images with pixels, got {tuple(images.shape)}")
    return total / cover


def _spans(length: int, window: int, overlap: float) -> list[tuple[int, int]]:
    """Return the fewest evenly spread windows that cover a side with that overlap."""
    window = min(window, length)
    step = max(1, math.floor(window * (1 - overlap)))
    count = math.ceil((length - window) / step) + 1
    starts = [round(i * (length - window) / max(1, count - 1)) for i in range(count)]
    return [(start, start + window) for start in starts]


def _as_float(images: Tensor) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"predict: expected images (N, 3, H, W), got {tuple(images.shape)}; "
            "move the colours first with .permute and add a batch axis"
        )
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _check_views(scales: Sequence[float], window: tuple[int, int] | None, overlap: float) -> None:
    if not scales:
        raise ValueError("predict: expected at least one scale, got none; give scales=(1.0,)")
    for scale in scales:
        check_positive("predict", scale=scale)
    if window is not None:
        check_positive("predict", window_height=window[0], window_width=window[1])
    if not 0 <= overlap < 1:
        raise ValueError(
            f"predict: expected overlap in [0, 1), got {overlap}; the usual choice is 1/3"
        )
