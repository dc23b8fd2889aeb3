"""What the values of mask files mean: from stored ids or colours to train ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX

MAX_CLASSES = 254
"""Train ids are bytes: 255 means no class, 254 is kept for values that are refused."""

_REFUSED = 254


class LabelCode(Protocol):
    """Turns the stored values of a mask into train ids."""

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray: ...


class IdCode:
    """Masks that store one number per pixel.

    Args:
        ids: train id of each number in the files, 255 where the number has no class. Other
            numbers are refused.
    """

    def __init__(self, ids: Mapping[int, int]) -> None:
        self.ids = dict(ids)
        self._table = np.full(max(256, max(self.ids, default=0) + 1), _REFUSED, dtype=np.uint8)
        for stored, train in self.ids.items():
            self._table[stored] = train

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids.

        Args:
            stored: what :func:`~segdistill.data.files.reading.read_mask` returned.
            path: the file, for messages.

        Shape:
            stored ``(H, W)``; result uint8 ``(H, W)``.

        Raises:
            DataError: the mask holds colours, or a number that is no class; the file, the
                numbers and their counts are named.
        """
        if stored.ndim == 3:
            raise DataError(
                f"{path}: expected a mask of class ids, got RGB colours {_shown_colors(stored)}; "
                "give each class its colour (folder: in classes.txt), or store ids"
            )
        if stored.dtype == np.uint8:
            # bytes.translate is four times faster than indexing a table by bytes.
            looked_up = stored.tobytes().translate(self._table[:256].tobytes())
            train = np.frombuffer(looked_up, dtype=np.uint8).reshape(stored.shape)
        else:
            known = (stored >= 0) & (stored < len(self._table))
            train = np.where(known, self._table[np.where(known, stored, 0)], _REFUSED)
            train = train.astype(np.uint8)
        refused = train == _REFUSED
        if refused.any():
            values, counts = np.unique(stored[refused], return_counts=True)
            shown = _shown([f"{v} ({n} pixels)" for v, n in zip(values, counts, strict=True)])
            raise DataError(
                f"{path}: expected class ids {self._shown_ids()}, got {shown}; "
                "correct the mask, or add the class"
            )
        result: np.ndarray = train
        return result

    def _shown_ids(self) -> str:
        stored = sorted(self.ids)
        if stored == list(range(len(stored))):
            return f"0 to {stored[-1]}"
        if stored[-1] == IGNORE_INDEX and stored[:-1] == list(range(len(stored) - 1)):
            return f"0 to {stored[-2]} and 255"
        return ", ".join(map(str, stored))


class ColorCode:
    """Masks that store one RGB colour per class.

    Args:
        colors: train id of each colour in the files, 255 where the colour has no class. Other
            colours are refused.
    """

    def __init__(self, colors: Mapping[tuple[int, int, int], int]) -> None:
        self.colors = dict(colors)
        keys = _packed(np.array(list(self.colors)))
        order = np.argsort(keys)
        self._keys = keys[order]
        self._trains = np.array(list(self.colors.values()), dtype=np.uint8)[order]

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids.

        Args:
            stored: what :func:`~segdistill.data.files.reading.read_mask` returned.
            path: the file, for messages.

        Shape:
            stored ``(H, W, 3)``; result uint8 ``(H, W)``.

        Raises:
            DataError: the mask holds numbers, or a colour that is no class; the file, the
                colours and their counts are named.
        """
        if stored.ndim == 2:
            values = _shown([str(value) for value in np.unique(stored)])
            raise DataError(
                f"{path}: expected a mask of RGB colours, got ids {values}; "
                "leave the colours out of classes.txt, or store colours"
            )
        packed = _packed(stored)
        # Neighbours mostly share a class, so runs of equal pixels are looked up.
        flat = packed.ravel()
        starts = np.flatnonzero(np.diff(flat, prepend=-1))
        rows = np.searchsorted(self._keys, flat[starts]).clip(max=len(self._keys) - 1)
        known = self._keys[rows] == flat[starts]
        lengths = np.diff(starts, append=flat.size)
        if not known.all():
            pixels = np.repeat(known, lengths).reshape(packed.shape)
            raise DataError(
                f"{path}: expected the colours of {len(self._keys)} classes, got "
                f"{_shown_colors(stored[~pixels][None])}; correct the mask, or add the class"
            )
        return np.repeat(self._trains[rows], lengths).reshape(packed.shape)


def plain_ids(classes: int) -> IdCode:
    """Return the code of masks that store train ids, with 255 for no class."""
    return IdCode({**{train: train for train in range(classes)}, IGNORE_INDEX: IGNORE_INDEX})


def _packed(colors: np.ndarray) -> np.ndarray:
    """Return colours ``(..., 3)`` as one number each."""
    wide = colors.astype(np.int32)
    packed: np.ndarray = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    return packed


def _shown(items: list[str], limit: int = 6) -> str:
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" * (len(items) > limit))


def _shown_colors(stored: np.ndarray) -> str:
    keys, counts = np.unique(_packed(stored.reshape(-1, 3)), return_counts=True)
    rows = sorted(zip(counts.tolist(), keys.tolist(), strict=True), reverse=True)
    return _shown(
        [f"({key >> 16}, {key >> 8 & 255}, {key & 255}) on {count} pixels" for count, key in rows]
    )
