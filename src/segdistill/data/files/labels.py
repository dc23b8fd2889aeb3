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
    """Turns the stored values of a mask into train ids.

    Attributes:
        looks_up_colors: whether a palette file is read as the colours that it shows.
    """

    looks_up_colors: bool

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray: ...


class IdCode:
    """Masks that store one number per pixel.

    Args:
        ids: train id of each number in the files, 255 where the number has no class. Other
            numbers are refused.
    """

    looks_up_colors = False

    def __init__(self, ids: Mapping[int, int]) -> None:
        self.ids = dict(ids)
        self._table = np.full(max(256, max(self.ids, default=0) + 1), _REFUSED, dtype=np.uint8)
        for stored, train in self.ids.items():
            self._table[stored] = train

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids.

        Args:
            stored: what :func:`~segdistill.data.files.masks.read_mask` returned. Three equal
                channels are taken for one.
            path: the file, for messages.

        Shape:
            stored ``(H, W)`` or ``(H, W, 3)``; result uint8 ``(H, W)``.

        Raises:
            DataError: the mask contains colours, or a number that is no class; the file, the
                numbers and their counts are named.
        """
        if stored.ndim == 3 and (stored == stored[..., :1]).all():
            stored = np.ascontiguousarray(stored[..., 0])
        if stored.ndim == 3:
            raise DataError(
                f"{path}: expected a mask of class ids, got RGB colours {_shown_colors(stored)}; "
                "give each class its colour (folder: in classes.txt), or store ids; where these "
                "are COCO's panoptic PNG files, segdistill convert reads them with their JSON"
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
                + self._advice_on_ids(values)
            )
        result: np.ndarray = train
        return result

    def _advice_on_ids(self, refused: np.ndarray) -> str:
        trains = [train for train in self.ids.values() if train != IGNORE_INDEX]
        plain = bool(trains) and all(self.ids.get(train) == train for train in trains)
        if plain and refused.tolist() == [len(trains)] == [1]:
            return (
                "masks of 0 and 1 are read with data.binary=true, which names the first class "
                "background; otherwise add the class"
            )
        if plain and refused.tolist() == [len(trains)]:
            return (
                "labels that run from 1, with 0 for no class, are read with "
                "data.reduce_labels=true; otherwise add the class"
            )
        return (
            "list values without a class in data.ignore, give the others a class in data.labels, "
            "or correct the mask"
        )

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

    looks_up_colors = True

    def __init__(self, colors: Mapping[tuple[int, int, int], int]) -> None:
        self.colors = dict(colors)
        keys = _packed(np.array(list(self.colors)))
        order = np.argsort(keys)
        self._keys = keys[order]
        self._trains = np.array(list(self.colors.values()), dtype=np.uint8)[order]

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids.

        Args:
            stored: what :func:`~segdistill.data.files.masks.read_mask` returned.
            path: the file, for messages.

        Shape:
            stored ``(H, W, 3)``; result uint8 ``(H, W)``.

        Raises:
            DataError: the mask contains numbers, or a colour that is no class; the file, the
                colours and their counts are named.
        """
        if stored.ndim == 2:
            values = _shown([str(value) for value in np.unique(stored)])
            raise DataError(
                f"{path}: expected a mask of RGB colours, got a grey file of the ids {values}; "
                "give each class its id, as in '0 sky 70 130 180', or leave the colours out of "
                "the class file"
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
                f"{_shown_colors(stored[~pixels][None])}; correct the mask, or add the class (or a "
                "line ignore with the colour); a mask of colours must not be smoothed or resized "
                "with smoothing"
            )
        return np.repeat(self._trains[rows], lengths).reshape(packed.shape)


class IdOrColorCode:
    """Masks that store one number a pixel, or one RGB colour; both are known.

    Args:
        ids: for files of numbers, palette files among them.
        colors: for files of colours.
    """

    looks_up_colors = False

    def __init__(self, ids: IdCode, colors: ColorCode) -> None:
        self.ids, self.colors = ids, colors

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids; see :class:`IdCode` and :class:`ColorCode`."""
        code: LabelCode = self.colors if stored.ndim == 3 else self.ids
        return code.decode(stored, path)


class BinaryCode:
    """Masks of one class on a background: 0 is background, 1 or 255 is the class.

    Files of colours are read where they are black and white.
    """

    looks_up_colors = False

    def __init__(self) -> None:
        self.ids = IdCode({0: 0, 1: 1, 255: 1})

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids 0 and 1; raises as :class:`IdCode`."""
        return self.ids.decode(stored, path)


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
