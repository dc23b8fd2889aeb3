"""What would spoil a training though each file can be read: seen only over a whole split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from segdistill.data.files.facts import FileFacts
from segdistill.data.files.pixels import Pixels
from segdistill.types import IGNORE_INDEX, Classes

_BITS_NEEDED = 14  # of 16: below, fewer than 64 of 256 grey levels are left
_MUCH = 0.05


def label_faults(split: str, classes: Classes, labels: np.ndarray, *, trained: bool) -> list[str]:
    """Return what in the labels of a split leaves nothing to learn or to score.

    Args:
        split: its name.
        classes: of the dataset.
        labels: pixels by train id; all that are there, or enough to have seen two classes.
        trained: whether the split is trained on; a scored split may contain a single class.

    Shape:
        labels int64 ``(256,)``.
    """
    names = classes.names
    if not names:
        return []
    if len(names) == 1:
        return [
            f"{split}: expected at least two classes, got only {names[0]}, which leaves nothing "
            "to distinguish; name the background too, or set data.binary=true for masks of 0 and "
            "255"
        ]
    seen = np.flatnonzero(labels[: len(names)])
    if len(seen) == 0:
        return [
            f"{split}: expected pixels with a class, got masks of 255 alone; label some, or choose "
            "another split"
        ]
    void = labels[IGNORE_INDEX] / max(1, labels.sum())
    if trained and len(seen) == 1:
        only = names[seen[0]]
        other = names[1 - seen[0]] if len(names) == 2 else "NAME"
        return [
            f"{split}: expected pixels of two classes or more, got {only} alone"
            + (
                f", and 255 (no class) on {100 * void:.0f} % of the pixels; where 255 is a class, "
                f"set data.labels={{{seen[0]}: {only}, 255: {other}}}, or data.binary=true"
                if void > _MUCH
                else "; a network would learn to predict it everywhere"
            )
        ]
    return []


def label_warnings(split: str, classes: Classes, labels: np.ndarray, *, to_255: bool) -> list[str]:
    """Return which classes a split has no pixel of, and where 255 may be one of them.

    Args:
        split: its name.
        classes: of the dataset.
        labels: pixels by train id.
        to_255: whether masks store 255 where they have no class, as far as is known.

    Shape:
        labels int64 ``(256,)``.
    """
    absent = [name for place, name in enumerate(classes.names) if labels[place] == 0]
    if not absent:
        return []
    void = labels[IGNORE_INDEX] / max(1, labels.sum())
    more = ""
    if void > _MUCH:
        more = f"; no class fills {100 * void:.0f} %"
        # Of several that are absent, 255 could be any.
        if len(absent) == 1 and to_255:
            more += f": if the 255 of the masks is a class, set data.labels={{255: {absent[0]}}}"
    return [f"{split}: no pixel of {', '.join(absent)}{more}"]


def file_faults(split: str, facts: Sequence[FileFacts], how: Pixels, *, by_id: bool) -> list[str]:
    """Return what the files of a split contradict each other in, or do not use.

    Args:
        split: its name.
        facts: of the files that were looked at.
        how: range and bands of the config.
        by_id: whether palette masks are read by their ids, not by their colours.
    """
    return [*_range_faults(split, facts, how), *(_palette_faults(split, facts) if by_id else [])]


def file_warnings(split: str, facts: Sequence[FileFacts], how: Pixels) -> list[str]:
    """Return what was done with files that could have been meant in another way."""
    warnings = []
    notes = Counter((f.image_note != 1, f.mask_note != 1) for f in facts if f.mask is not None)
    for (image, mask), count in sorted(notes.items()):
        if image and mask:
            warnings.append(f"{split}: {count} images and their masks were turned by EXIF notes")
        elif image:
            warnings.append(
                f"{split}: {count} images were turned by their EXIF notes, but their masks, which "
                "have "
                "none, were not; right if the masks were drawn on the upright picture, otherwise "
                "turn the masks"
            )
        elif mask:
            warnings.append(
                f"{split}: {count} masks were turned by EXIF notes that their images lack; "
                "remove the notes if that is wrong"
            )
    clear = sum(f.transparent for f in facts)
    if clear and how.bands is None:
        warnings.append(
            f"{split}: {clear} images have a fourth band, which was taken for transparency and "
            "dropped; data.bands=[0, 1, 2] says so, and other numbers choose other bands"
        )
    levels = [f.levels for f in facts if f.levels is not None]
    high = max((high for _, _, high in levels), default=0)
    if how.range is not None and high > how.range[1]:
        warnings.append(
            f"{split}: numbers up to {high:g} lie above data.range {list(how.range)} and are read "
            "as white"
        )
    bits = int(high).bit_length()
    if how.range is None and _BITS_NEEDED <= bits < 16:
        warnings.append(
            f"{split}: 16-bit numbers up to {high:g} leave {int(high) // 257 + 1} of 256 grey "
            f"levels; if the camera gives {bits} bits, set data.range=[0, {2**bits - 1}]"
        )
    return warnings


def _range_faults(split: str, facts: Sequence[FileFacts], how: Pixels) -> list[str]:
    levels = [f.levels for f in facts if f.levels is not None]
    if not levels or how.range is not None:
        return []
    kinds = sorted({kind for kind, _, _ in levels})
    low, high = min(low for _, low, _ in levels), max(high for _, _, high in levels)
    measured = f"numbers from {low:g} to {high:g} in {len(levels)} files"
    if kinds != ["uint16"]:
        return [
            f"{split}: expected a range for {' and '.join(kinds)}, got none and {measured}; set "
            f"data.range=[{low:g}, {high:g}], or the range of the camera"
        ]
    bits = int(high).bit_length()
    if bits < _BITS_NEEDED:
        return [
            f"{split}: expected 16 bits in use, got {measured}, which leave "
            f"{int(high) // 257 + 1} of 256 grey levels; set data.range=[0, {2**bits - 1}] (or "
            "[0, 65535] if they are meant to be so dark)"
        ]
    return []


def _palette_faults(split: str, facts: Sequence[FileFacts]) -> list[str]:
    """Find a colour that is another id in another file: ids then mean nothing."""
    first: dict[tuple[int, int, int], tuple[int, FileFacts]] = {}
    for fact in facts:
        colors = Counter(fact.palette.values())
        for stored, color in fact.palette.items():
            if colors[color] > 1:
                continue
            before, where = first.setdefault(color, (stored, fact))
            if before != stored:
                return [
                    f"{split}: expected palettes that agree, got the colour {color} as {before} in "
                    f"{where.mask} and as {stored} in {fact.mask}; give each class its colour in "
                    "the class file, as in 'sky 70 130 180': palettes are then looked up"
                ]
    return []
