"""Predictions at full size: whole images, several scales, mirrored, by sliding window.

Logits stay at the network's stride. Probabilities at full size are computed tile by tile and summed
over the views; if only classes are needed, they are discarded with their tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive
from segdistill.scoring.views import View, Whole, as_float, open_windows, strided_logits
from segdistill.upsampling import Resizing, Tile, argmax_at, new_ids, tiles


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

    Images are never padded. With a window, each view is cut into windows that are predicted one
    by one, and their probabilities are averaged where they overlap.

    Args:
        network: maps float images in [0, 1] to ``SegOutput``; its mode is not changed, so set
            evaluation mode first, as :func:`segdistill.scoring.evaluator.evaluate` does.
        images: RGB, uint8 or floating-point in [0, 1].
        scales: factors of the image size, one view each; shrinking is antialiased.
        flip: also predict each view mirrored left to right.
        window: height and width of a sliding window, in pixels of the scaled image; a window
            larger than a view is the whole view. None predicts the whole view at once.
        overlap: minimum share of a window that overlaps with the next, in [0, 1).
        size: height and width of the result; by default those of the images.

    Shape:
        images ``(N, 3, H, W)``; result ``(N, K, H, W)`` float32, or ``(N, K, *size)``.

    Returns:
        Probabilities that sum to 1 over the classes.

    Raises:
        ValueError: no scale, or one not above 0; an empty window; an overlap outside [0, 1);
            images that are not ``(N, 3, H, W)``; or a logit that is nan or infinite.
    """
    _check_views(images, scales, window, overlap)
    size = size or (images.shape[-2], images.shape[-1])
    views = list(_open_views(network, images, scales, flip, window, overlap, size))
    total: Tensor | None = None
    for tile in tiles(size, len(images) * views[0].classes, images.device):
        mean = _mean(views, tile)
        if total is None:
            total = mean.new_empty(*mean.shape[:2], *size)
        total[..., tile.rows, tile.columns] = mean
    if total is None:
        raise ValueError(f"predict: expected images with pixels, got {tuple(images.shape)}")
    return total


def predict_ids(
    network: nn.Module,
    images: Tensor,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    window: tuple[int, int] | None = None,
    overlap: float = 1 / 3,
    size: tuple[int, int] | None = None,
    confidences: Tensor | None = None,
) -> tuple[Tensor, int]:
    """Return the most probable classes at the size of the images, and the number of classes.

    The probabilities are those of :func:`predict`, but exist only one tile at a time. With a
    window and scale 1, memory hardly grows beyond the image and the ids, because windows are
    predicted when a tile first needs them and discarded below it.

    Args:
        network: see :func:`predict`.
        images: see :func:`predict`.
        scales: see :func:`predict`.
        flip: see :func:`predict`.
        window: see :func:`predict`.
        overlap: see :func:`predict`.
        size: see :func:`predict`.
        confidences: tensor to which the probability of each of these classes is written.

    Shape:
        images ``(N, 3, H, W)``; result and confidences ``(N, H, W)`` or ``(N, *size)``.

    Returns:
        Class ids, uint8 up to 256 classes, else int32; and the number of classes.

    Raises:
        ValueError: see :func:`predict`.
    """
    _check_views(images, scales, window, overlap)
    size = size or (images.shape[-2], images.shape[-1])
    if tuple(scales) == (1.0,) and not flip and window is None:
        # Softmax keeps the order of the classes, so a single view does not need it.
        logits = strided_logits(network, images)
        return argmax_at(logits, size, confidences=confidences), logits.shape[1]
    views = list(_open_views(network, images, scales, flip, window, overlap, size))
    classes = views[0].classes
    ids = new_ids(len(images), classes, size, images.device)
    for tile in tiles(size, len(images) * classes, images.device):
        largest = _mean(views, tile).max(dim=1)
        ids[:, tile.rows, tile.columns] = largest.indices
        if confidences is not None:
            confidences[:, tile.rows, tile.columns] = largest.values
    return ids, classes


class _Resized:
    """The probabilities of a view at another size."""

    def __init__(self, view: View, resizing: Resizing) -> None:
        self.classes = view.classes
        self._view, self._resizing = view, resizing

    def read(self, tile: Tile) -> Tensor:
        return self._resizing.enlarge(self._view.read(self._resizing.source(tile)), tile)


class _Mirrored:
    """The probabilities of a mirrored view, mirrored back."""

    def __init__(self, view: View, width: int) -> None:
        self.classes = view.classes
        self._view, self._width = view, width

    def read(self, tile: Tile) -> Tensor:
        columns = slice(self._width - tile.columns.stop, self._width - tile.columns.start)
        return self._view.read(Tile(tile.rows, columns)).flip(-1)


def _mean(views: Sequence[View], tile: Tile) -> Tensor:
    first, *others = views
    total = first.read(tile)
    for view in others:
        total = total.add_(view.read(tile))
    return total / len(views)


def _open_views(
    network: nn.Module,
    images: Tensor,
    scales: Sequence[float],
    flip: bool,
    window: tuple[int, int] | None,
    overlap: float,
    size: tuple[int, int],
) -> Iterator[View]:
    """Yield the views of images, to be read at the size of the result."""
    for view, mirrored in _scale(images, scales, flip):
        opened: View
        if window is None:
            opened = Whole(strided_logits(network, view), size)
        else:
            opened = open_windows(network, view, window, overlap)
            source = (view.shape[-2], view.shape[-1])
            if source != size:
                like = images.new_empty(0, dtype=torch.float32)
                opened = _Resized(opened, Resizing(source, size, like=like))
        yield _Mirrored(opened, size[1]) if mirrored else opened


def _scale(images: Tensor, scales: Sequence[float], flip: bool) -> Iterator[tuple[Tensor, bool]]:
    """Yield the scaled images and whether they are mirrored."""
    height, width = images.shape[-2:]
    for scale in scales:
        shape = (max(1, round(scale * height)), max(1, round(scale * width)))
        view = images
        if shape != (height, width):
            view = F.interpolate(
                as_float(images),
                shape,
                mode="bilinear",
                align_corners=False,
                antialias=scale < 1,
            )
        yield view, False
        if flip:
            yield view.flip(-1), True


def _check_views(
    images: Tensor, scales: Sequence[float], window: tuple[int, int] | None, overlap: float
) -> None:
    _check_images(images)
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


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"predict: expected images (N, 3, H, W), got {tuple(images.shape)}; "
            "move the colours first with .permute and add a batch axis"
        )
