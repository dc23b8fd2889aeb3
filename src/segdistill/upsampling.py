"""Bilinear resizing piece by piece, so that the map of full size never exists."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Values of a tile: it stays in the cache of a processor, and is enough to keep a GPU busy.
_VALUES = 2**18
_VALUES_ON_DEVICE = 2**24

LEAST = -1e30
"""What a logit of -inf is computed with: its probability is 0 as well, and 0 times -inf is nan."""

_EXCLUDED = 1e-6 * LEAST  # no finite logit is as low, and no weight of the resizing as small


class Tile(NamedTuple):
    """A rectangle of a map: ``map[..., tile.rows, tile.columns]``."""

    rows: slice
    columns: slice


class Resizing:
    """The bilinear resizing of maps, tile by tile of the result.

    Values are those of ``F.interpolate(maps, size, mode="bilinear")`` up to rounding, corners
    not aligned. The two axes are apart, so a tile is two small products: of the pixels that it
    depends on with the weights of its columns, and of that with the weights of its rows.

    Args:
        source: height and width of the maps.
        size: those of the result.
        like: a tensor of the maps' dtype and device.
    """

    def __init__(self, source: tuple[int, int], size: tuple[int, int], *, like: Tensor) -> None:
        self._source = source
        self._size = size
        self._dtype, self._device = like.dtype, like.device
        self._bands: dict[tuple[int, int, int], tuple[slice, Tensor]] = {}

    def source(self, tile: Tile) -> Tile:
        """Return the pixels of the maps that a tile of the result depends on."""
        if self._source == self._size:
            return tile
        return Tile(self._band(0, tile.rows)[0], self._band(1, tile.columns)[0])

    def enlarge(self, pixels: Tensor, tile: Tile) -> Tensor:
        """Return a tile of the result from the pixels that it depends on.

        Instead of -inf they have :data:`LEAST`, whose probability is 0 as well.

        Shape:
            pixels ``(N, C, rows, columns)`` of :meth:`source`; result ``(N, C, rows, columns)``
            of the tile.
        """
        pixels = at_least(pixels)
        if self._source == self._size:
            return pixels
        rows, columns = self._band(0, tile.rows)[1], self._band(1, tile.columns)[1]
        with torch.autocast(self._device.type, enabled=False):
            return rows @ (pixels @ columns.mT)

    def give_back(self, gradient: Tensor, tile: Tile) -> Tensor:
        """Return the gradient for the pixels from that for a tile: the adjoint of enlarging."""
        if self._source == self._size:
            return gradient
        rows, columns = self._band(0, tile.rows)[1], self._band(1, tile.columns)[1]
        with torch.autocast(self._device.type, enabled=False):
            return rows.mT @ gradient @ columns

    def _band(self, axis: int, span: slice) -> tuple[slice, Tensor]:
        key = (axis, span.start, span.stop)
        if key not in self._bands:
            pixels, weights = _weights(self._source[axis], self._size[axis], span, self._dtype)
            if self._device.type == "cuda":
                weights = weights.pin_memory()  # otherwise the host would wait for the GPU
            self._bands[key] = pixels, weights.to(self._device, non_blocking=True)
        return self._bands[key]


def at_least(maps: Tensor) -> Tensor:
    """Return maps with :data:`LEAST`, or the least of their type, in place of -inf."""
    return maps.clamp_min(max(LEAST, torch.finfo(maps.dtype).min))


def snap_excluded(resized: Tensor) -> Tensor:
    """Return resized maps with :data:`LEAST` wherever a value that stood for -inf had a share."""
    return resized.masked_fill(resized < _EXCLUDED, LEAST)


def in_the_limit(total: Tensor) -> Tensor:
    """Return a sum over :func:`at_least` logits, infinite where only a logit of -inf explains it.

    A divergence is finite where the teacher excludes a class, and infinite where the student
    excludes one that the teacher does not.
    """
    return total.masked_fill(total > -_EXCLUDED, torch.inf)


def tiles(size: tuple[int, int], channels: int, device: torch.device) -> Iterator[Tile]:
    """Yield tiles that cover a map, row by row, as large as its channels allow.

    Args:
        size: height and width of the map.
        channels: values of each position.
        device: where the map is.
    """
    limit = _VALUES if device.type == "cpu" else _VALUES_ON_DEVICE
    side = max(math.isqrt(limit // channels) // 8 * 8, 8)
    height, width = size
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Tile(slice(top, min(top + side, height)), slice(left, min(left + side, width)))


def argmax_at(
    logits: Tensor, size: tuple[int, int], *, confidences: Tensor | None = None
) -> Tensor:
    """Return the classes of logits that are resized bilinearly, without the resized logits.

    Args:
        logits: at their own stride.
        size: height and width of the result.
        confidences: room for the probability of each of these classes, which is written there.

    Shape:
        logits ``(N, K, h, w)``; result and confidences ``(N, *size)``.

    Returns:
        Class ids, uint8 up to 256 classes, else int32.
    """
    images, classes, *source = logits.shape
    resizing = Resizing((source[0], source[1]), size, like=logits)
    ids = new_ids(images, classes, size, logits.device)
    for tile in tiles(size, images * classes, logits.device):
        pixels = resizing.source(tile)
        values = resizing.enlarge(logits[..., pixels.rows, pixels.columns], tile)
        # Several times as fast as argmax on a CPU.
        largest = values.max(dim=1)
        ids[:, tile.rows, tile.columns] = largest.indices
        if confidences is not None:
            sure = (largest.values - values.logsumexp(dim=1)).exp()
            confidences[:, tile.rows, tile.columns] = sure
    return ids


def new_ids(images: int, classes: int, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return room for class ids, ``(images, *size)``, in the smallest type that is usual."""
    dtype = torch.uint8 if classes <= 256 else torch.int32
    return torch.empty(images, *size, dtype=dtype, device=device)


def _weights(pixels: int, length: int, span: slice, dtype: torch.dtype) -> tuple[slice, Tensor]:
    """Return the pixels that a span of a resized axis depends on, and the weight of each.

    Shape:
        weights ``(span, pixels it depends on)``.
    """
    positions = _positions(pixels, length, span, dtype).clamp_(min=0)
    lower = positions.long().clamp_(max=pixels - 1)
    upper = (lower + 1).clamp_(max=pixels - 1)
    share = (positions - lower).clamp_(max=1)
    first, last = int(lower[0]), int(upper[-1])
    weights = torch.zeros(len(lower), last + 1 - first, dtype=dtype)
    weights.scatter_add_(1, (lower - first)[:, None], (1 - share)[:, None])
    weights.scatter_add_(1, (upper - first)[:, None], share[:, None])
    return slice(first, last + 1), weights


def intervals(pixels: int, length: int) -> tuple[Tensor, float]:
    """Return which positions of a resized axis lie between which two neighbouring pixels.

    Interval ``i`` has the positions between pixels ``i - 1`` and ``i``; those of the first and the
    last lie outside the pixels' centers, so they depend on one pixel alone.

    Args:
        pixels: number of pixels.
        length: number of positions.

    Shape:
        starts ``(pixels + 2,)``: interval ``i`` has the positions from ``starts[i]`` up to
        ``starts[i + 1]``.

    Returns:
        The starts, and the scale: position ``p`` is ``scale * (p + 0.5) - 0.5`` pixels along,
        computed in float64 and rounded to float32.
    """
    lower = _positions(pixels, length, slice(0, length), torch.float32).floor_()
    starts = torch.searchsorted(lower.clamp_(-1, pixels - 1), torch.arange(-1.0, pixels + 1))
    return starts, float(_scale(pixels, length, torch.float32))


def _scale(pixels: int, length: int, dtype: torch.dtype) -> Tensor:
    return torch.tensor(pixels, dtype=dtype) / length


def _positions(pixels: int, length: int, span: slice, dtype: torch.dtype) -> Tensor:
    """Return where, among the pixels, a span of a resized axis lies; outside them too."""
    centers = torch.arange(span.start, span.stop, dtype=torch.float64) + 0.5
    # Rounded once to the maps' precision, as by the fused multiply-add of torch's kernels.
    return (_scale(pixels, length, dtype).double() * centers - 0.5).to(dtype)
