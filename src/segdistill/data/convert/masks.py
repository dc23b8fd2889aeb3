"""Any images with masks whose names match: the values that masks store become ids from 0."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from segdistill.data.convert.class_files import ClassRow, find_class_file, read_class_file
from segdistill.data.convert.export import Export
from segdistill.data.convert.pairing import Match, pair_files
from segdistill.data.convert.records import Source
from segdistill.data.convert.stored import from_pairs, refuse_unpaired
from segdistill.data.files.masks import read_mask
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX

_LOOKED_AT = 24
MOST_VALUES = 254
"""With more unnamed values than this, masks store something else: heights, or blurred colours."""


def read(export: Export, background: str | None) -> Source:
    """Open a folder of images and masks.

    Classes are those of a class file if there is one. Otherwise every value or colour in
    the masks is a class, named by its value; 255 has no class, unless 0 is the only other
    value: then the masks are black and white, and 255 is a class.

    Args:
        export: the folder.
        background: class of pixels without one.

    Raises:
        DataError: no image has a mask, masks contain too many values, or colours that no class
            file names.
    """
    pairing = pair_files(export.images)
    refuse_unpaired(export, pairing)
    file = find_class_file(export)
    if file is not None:
        rows = read_class_file(export.root / file)
        _refuse_unnamed_colors(export, pairing.matches, rows, file)
        notes = [f"classes named in {file}"]
        if [row.stored for row in rows] == [0, 1]:
            rows, binary = binary_rows(rows, count_values(export, pairing.matches[:_LOOKED_AT])[0])
            notes += binary
    else:
        values, skipped = count_values(export, pairing.matches)
        rows, notes = rows_of(values)
        notes += skipped
    return from_pairs(export, pairing, rows, background, notes=notes)


def binary_rows(rows: list[ClassRow], values: Counter[Value]) -> tuple[list[ClassRow], list[str]]:
    """Return two named classes for masks of 0 and 255 alone, where 255 is the second.

    Args:
        rows: classes of ids 0 and 1.
        values: pixels by stored number.

    Returns:
        The rows, and what was decided, in sentences; unchanged if masks contain other values.
    """
    if set(values) != {0, IGNORE_INDEX}:
        return rows, []
    first, second = rows
    note = f"masks of 0 and {IGNORE_INDEX} alone: {IGNORE_INDEX} is {second.name} here"
    return [first, ClassRow(second.name, IGNORE_INDEX, second.color)], [note]


def _refuse_unnamed_colors(
    export: Export, matches: tuple[Match, ...], rows: list[ClassRow], file: Path
) -> None:
    """Refuse masks of colours where the class file gives none: all of them would be at fault."""
    if not matches or rows[0].color is not None:
        return
    stored = read_mask(export.root / matches[0].mask)
    if stored.ndim == 3 and not (stored == stored[..., :1]).all():
        raise DataError(
            f"{export.root / matches[0].mask}: expected ids of the classes of {file}, got colours; "
            "write each class as 'name r g b', or, where these are COCO's panoptic PNG files, put "
            "their panoptic JSON beside them"
        )


Value = int | tuple[int, int, int]


def count_values(export: Export, matches: tuple[Match, ...]) -> tuple[Counter[Value], list[str]]:
    """Count the pixels of each value or colour in masks.

    Args:
        export: the folder.
        matches: whose masks to read.

    Returns:
        Pixels by stored number or colour, and how many masks could not be read, as notes.

    Raises:
        DataError: there are too many values to be classes.
    """
    counts: Counter[Value] = Counter()
    unread = 0
    for match in matches:
        try:
            stored = read_mask(export.root / match.mask)
        except DataError:
            unread += 1
            continue
        if stored.ndim == 3 and (stored == stored[..., :1]).all():
            stored = stored[..., 0]
        if stored.ndim == 2:
            numbers, pixels = np.unique(stored, return_counts=True)
            counts.update(dict(zip(numbers.tolist(), pixels.tolist(), strict=True)))
        else:
            colors, pixels = np.unique(stored.reshape(-1, 3), axis=0, return_counts=True)
            counts.update(dict(zip(map(tuple, colors.tolist()), pixels.tolist(), strict=True)))
        if len(counts) > MOST_VALUES + 1:
            raise DataError(
                f"{export.root / match.mask}: expected the values of at most {MOST_VALUES} "
                f"classes in all masks, got {len(counts)} after this one; are edges blurred, or "
                "are these not masks of classes?"
            )
    return counts, [f"{unread} masks could not be read"] if unread else []


def rows_of(values: Counter[Value]) -> tuple[list[ClassRow], list[str]]:
    """Return a class for each value that masks store, and what was decided.

    Raises:
        DataError: some masks contain numbers and others colours, or none could be read.
    """
    numbers = sorted(value for value in values if isinstance(value, int))
    colors = sorted(value for value in values if not isinstance(value, int))
    if numbers and colors:
        # Grey colours were taken for numbers; among colours they are colours.
        colors = sorted({*colors, *((value, value, value) for value in numbers)})
        numbers = []
    if colors:
        rows = [
            ClassRow("color_{}_{}_{}".format(*color), i, color) for i, color in enumerate(colors)
        ]
        return rows, [f"{len(rows)} colours in the masks; no class file names them"]
    if not numbers:
        raise DataError("convert: expected masks that can be read, got none")
    if numbers == [0, IGNORE_INDEX]:
        rows = [ClassRow("background", 0), ClassRow("foreground", IGNORE_INDEX)]
        return rows, ["masks of 0 and 255 alone: 255 is a class here, named foreground"]
    kept = [value for value in numbers if value != IGNORE_INDEX]
    notes = [f"values {', '.join(map(str, kept[:12]))}{' ...' * (len(kept) > 12)} in the masks"]
    return [ClassRow(f"class_{value}", value) for value in kept], [
        *notes,
        "no class file names them: they are called class_<value>; rename them in classes.txt",
    ]
