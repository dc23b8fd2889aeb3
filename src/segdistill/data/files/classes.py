"""Classes of a class file, and what masks store for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segdistill.data.files.class_rows import NOT_LABELLED, ClassRow, read_class_rows
from segdistill.data.files.labels import (
    MAX_CLASSES,
    ColorCode,
    IdCode,
    IdOrColorCode,
    LabelCode,
    plain_ids,
)
from segdistill.data.files.palettes import distinct_colors
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

_VOID_AT_255 = ("ignore", "ignored", "void", "unlabeled", "unlabelled", "border", "none")


def read_classes(file: Path) -> tuple[Classes, LabelCode]:
    """Read class names, with the ids and colours that masks store where these are given.

    Without ids, masks store the order of the file. A class named ``ignore`` is none: its colour
    or id has no class, and neither has the line ``__ignore__`` of labelme.

    Args:
        file: the class file.

    Returns:
        The classes in the order of their ids, and what their masks store: ids, colours, or
        either where the file gives both.

    Raises:
        DataError: the file is missing, empty or no class file; a name, id or colour repeats;
            or some classes have an id or a colour and others not.
    """
    rows = read_class_rows(file)
    kept = [row for row in rows if not _is_ignored(row)]
    ignored = [row for row in rows if _is_ignored(row)]
    _check_rows(file, kept, ignored)
    if kept[0].id is not None:
        kept.sort(key=lambda row: row.id or 0)
    names = tuple(row.name for row in kept)
    numbered = {row.id: train for train, row in enumerate(kept) if row.id is not None}
    void = {row.id: IGNORE_INDEX for row in ignored if row.id is not None and row.id >= 0}
    ids = IdCode({IGNORE_INDEX: IGNORE_INDEX, **void, **(numbered or plain_ids(len(kept)).ids)})
    if kept[0].color is None:
        return Classes(names, distinct_colors(len(names))), ids
    colors = {row.color: train for train, row in enumerate(kept) if row.color is not None}
    code = ColorCode(
        {**colors, **{row.color: IGNORE_INDEX for row in ignored if row.color is not None}}
    )
    either = code if kept[0].id is None else IdOrColorCode(ids, code)
    return Classes(names, tuple(colors)), either


def _is_ignored(row: ClassRow) -> bool:
    name = row.name.lower()
    at_255 = row.id == IGNORE_INDEX and name in _VOID_AT_255
    return name in ("ignore", NOT_LABELLED) or at_255


def _check_rows(file: Path, kept: list[ClassRow], ignored: list[ClassRow]) -> None:
    if not 0 < len(kept) <= MAX_CLASSES:
        raise DataError(f"{file}: expected 1 to {MAX_CLASSES} classes, got {len(kept)}")
    columns: dict[str, list[Any]] = {
        "name": [row.name for row in kept],
        "id": [row.id for row in (*kept, *ignored)],
    }
    for what, values in columns.items():
        repeated = sorted({str(v) for v in values if v is not None and values.count(v) > 1})
        if repeated:
            # Two lines of ignore are fine, as long as their ids differ.
            raise DataError(
                f"{file}: expected each class once, got {', '.join(repeated)} twice"
                + (" as an id" if what == "id" else "")
            )
    outside = [row.id for row in kept if row.id is not None and not 0 <= row.id < 2**16]
    if outside or len({row.id is None for row in kept}) > 1:
        raise DataError(
            f"{file}: expected an id from 0 to 65535 for each class or for none, got "
            f"{', '.join(f'{row.name} {row.id}' for row in kept[:6])}"
        )
    colors = [row.color for row in (*kept, *(row for row in ignored if row.color is not None))]
    if len({color is None for color in colors}) > 1 or (
        colors[0] is not None and len(set(colors)) < len(colors)
    ):
        raise DataError(f"{file}: expected a different colour for each class or for none")
    for row in ignored:
        if kept[0].id is None and row.id is not None and row.id < len(kept):
            raise DataError(
                f"{file}: expected an unused id for {row.name}, got {row.id}, which is "
                f"{kept[row.id].name} by its line; give every class its id, as in '0 sky'"
            )
        if row.name.lower() == "ignore" and row.id is None and row.color is None:
            # Left out, it would move the ids of all classes below it.
            raise DataError(
                f"{file}: expected a colour or an id for ignore, got none; in masks of ids 255 "
                "has no class: remove the line, or give the class another name"
            )
