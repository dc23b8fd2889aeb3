"""Masks of classes that have colours: stored as colours, as palette entries, or as ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdistill.data.files.decoding import open_picture, read_bytes
from segdistill.data.files.labels import ColorCode, LabelCode
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX


class ColoredCode:
    """Masks that store the colours of the classes, or their ids.

    The colours of a palette file are looked up, for its entries may be in any order; files
    without a palette, and palette files in whose entries none of the colours is, hold ids.

    Args:
        colors: code of the colours.
        ids: code of the ids.
    """

    looks_up_colors = False

    def __init__(self, colors: ColorCode, ids: LabelCode) -> None:
        self._colors, self._ids = colors, ids

    def decode(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """Return train ids; see :class:`~segdistill.data.files.labels.LabelCode`.

        Raises:
            DataError: a value is no class, or a palette has the colours of some classes and
                other colours beside them.
        """
        if stored.ndim == 3:
            return self._colors.decode(stored, path)
        palette = _palette(path) if stored.dtype == np.uint8 else None
        if palette is None:
            return self._ids.decode(stored, path)
        used = np.flatnonzero(np.bincount(stored.ravel(), minlength=256))
        shown = {int(entry): palette.get(int(entry)) for entry in used if entry != IGNORE_INDEX}
        known = {entry for entry, color in shown.items() if color in self._colors.colors}
        if not known:
            return self._ids.decode(stored, path)
        if len(known) < len(shown):
            other = sorted(shown.keys() - known)
            raise DataError(
                f"{path}: expected the colours of the classes in the palette, got "
                f"{', '.join(str(shown[entry]) for entry in other[:6])} for the ids "
                f"{', '.join(map(str, other[:6]))}; add the classes, or remove the colours from "
                "the class file"
            )
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        for entry in known:
            table[entry] = self._colors.colors[palette[entry]]
        train: np.ndarray = table[stored]
        return train


def _palette(path: Path) -> dict[int, tuple[int, int, int]] | None:
    """Return the colours of a palette file by entry, or None for any other file."""
    if not path.is_file():
        return None
    try:
        with open_picture(path, read_bytes(path)) as picture:
            flat = picture.getpalette("RGB") if picture.mode == "P" else None
    except (DataError, OSError, ValueError, SyntaxError):
        return None
    if flat is None:
        return None
    triples = zip(flat[0::3], flat[1::3], flat[2::3], strict=True)
    return {entry: (red, green, blue) for entry, (red, green, blue) in enumerate(triples)}
