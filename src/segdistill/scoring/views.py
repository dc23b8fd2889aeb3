"""A view of an image predicted at once or by windows, and read tile by tile."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from segdistill.upsampling import Resizing, Tile


class View(Protocol):
    """Probabilities of a view at some size, read tile by tile from top to bottom."""

    classes: int

    def read(self, tile: Tile) -> Tensor:
        """Return the probabilities of a tile, ``(N, K, rows, columns)``."""


class Whole:
    """A view predicted at once."""

    def __init__(self, logits: Tensor, size: tuple[int, int]) -> None:
        self.classes = logits.shape[1]
        self.at_full_size = logits.shape[2:] == size
        self._logits = logits
        self._resizing = Resizing((logits.shape[2], logits.shape[3]), size, like=logits)

    def read(self, tile: Tile) -> Tensor:
        pixels = self._resizing.source(tile)
        values = self._resizing.enlarge(self._logits[..., pixels.rows, pixels.columns], tile)
        return values.softmax(dim=1)


def open_windows(
    network: nn.Module, images: Tensor, window: tuple[int, int], overlap: float
) -> View:
    """Return a view that is predicted window by window; see :func:`inference.predict`."""
    height, width = images.shape[-2:]
    windows = [
        Tile(slice(*rows), slice(*columns))
        for rows in spans(height, window[0], overlap)
        for columns in spans(width, window[1], overlap)
    ]
    first = _predict(network, images, windows[0])
    kind = _Strip if first.at_full_size else _Windows
    return kind(network, images, windows, first)


class _Windows:
    """A view predicted window by window: each when a tile first needs it, kept until below it."""

    def __init__(
        self, network: nn.Module, images: Tensor, windows: list[Tile], first: Whole
    ) -> None:
        self._network, self._images, self._windows = network, images, windows
        self._predicted = {0: first}
        self.classes = first.classes

    def read(self, tile: Tile) -> Tensor:
        total: Tensor | None = None
        for number, window in enumerate(self._windows):
            if window.rows.stop <= tile.rows.start:
                self._predicted.pop(number, None)
                continue
            rows, columns = map(_common, window, tile)
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            part = self._predict(number).read(Tile(*map(_within, (rows, columns), window)))
            if total is None:
                height, width = map(_length, tile)
                total = part.new_zeros(*part.shape[:2], height, width)
                cover = part.new_zeros(height, width)
            inside = Tile(*map(_within, (rows, columns), tile))
            total[..., inside.rows, inside.columns] += part
            cover[inside] += 1
        if total is None:
            raise RuntimeError("predict: expected windows to cover a view, got a gap")
        return total.div_(cover)

    def _predict(self, number: int) -> Whole:
        if number not in self._predicted:
            self._predicted[number] = _predict(self._network, self._images, self._windows[number])
        return self._predicted[number]


class _Strip:
    """A view predicted window by window: sums over the rows in hand, and how many they are of.

    For logits of full size, of which overlapping windows would hold several to a pixel.
    """

    def __init__(
        self, network: nn.Module, images: Tensor, windows: list[Tile], first: Whole
    ) -> None:
        self._network, self._images = network, images
        self._left, self._first = windows, [first]
        self.classes = first.classes
        width, device = images.shape[-1], images.device
        self._total = torch.zeros(len(images), first.classes, 0, width, device=device)
        self._cover = torch.zeros(1, 1, 0, width, device=device)
        self._top = self._stop = 0

    def read(self, tile: Tile) -> Tensor:
        while self._left and self._left[0].rows.start < tile.rows.stop:
            self._add_row(tile.rows)
        rows = slice(tile.rows.start - self._top, tile.rows.stop - self._top)
        total, cover = (sums[..., rows, tile.columns] for sums in (self._total, self._cover))
        return total / cover

    def _add_row(self, reading: slice) -> None:
        """Add the next row of windows, and forget what is above the rows that are read."""
        span = self._left[0].rows
        top = min(reading.start, span.start)  # a view that is shrunk leaves rows out
        self._move(top, span.stop, room=_length(span) + _length(reading))
        rows = slice(span.start - top, span.stop - top)
        while self._left and self._left[0].rows == span:
            window = self._left.pop(0)
            first = self._first.pop() if self._first else None
            part = first or _predict(self._network, self._images, window)
            values = part.read(Tile(*(slice(0, _length(side)) for side in window)))
            self._total[..., rows, window.columns] += values
            self._cover[..., rows, window.columns] += 1

    def _move(self, top: int, stop: int, *, room: int) -> None:
        """Have the rows from top to stop in hand, in the same memory; the new ones are 0."""
        more = max(room, stop - top) - self._total.shape[-2]
        if more > 0:
            self._total = nn.functional.pad(self._total, (0, 0, 0, more))
            self._cover = nn.functional.pad(self._cover, (0, 0, 0, more))
        kept, shift = self._stop - top, top - self._top
        for sums in (self._total, self._cover):
            for plane in sums.flatten(0, 1):  # one at a time: a second copy of all is large
                plane[:kept] = plane[shift : shift + kept].clone()
                plane[kept:] = 0
        self._top, self._stop = top, stop


def _predict(network: nn.Module, images: Tensor, window: Tile) -> Whole:
    rows, columns = window
    logits = strided_logits(network, images[..., rows, columns])
    return Whole(logits, (_length(rows), _length(columns)))


def strided_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return a network's logits in float32 at its own stride."""
    logits: Tensor = network(as_float(images)).logits.float()
    if not logits.isfinite().all():
        raise ValueError(
            "predict: expected finite logits, got nan or infinite ones; "
            "the network has diverged, or 16-mixed overflowed: try 32-true"
        )
    return logits


def spans(length: int, window: int, overlap: float) -> list[tuple[int, int]]:
    """Return the fewest evenly spread windows that cover a side with that overlap."""
    window = min(window, length)
    step = max(1, math.floor(window * (1 - overlap)))
    count = math.ceil((length - window) / step) + 1
    starts = [round(i * (length - window) / max(1, count - 1)) for i in range(count)]
    return [(start, start + window) for start in starts]


def _common(first: slice, second: slice) -> slice:
    return slice(max(first.start, second.start), min(first.stop, second.stop))


def _within(span: slice, whole: slice) -> slice:
    return slice(span.start - whole.start, span.stop - whole.start)


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def as_float(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images
