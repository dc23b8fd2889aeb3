"""The class file of an export: found by its name, and what masks store for its classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from segdistill.data.convert.export import Export
from segdistill.data.files.class_rows import NOT_LABELLED, read_class_rows
from segdistill.data.files.palettes import Color
from segdistill.errors import DataError

NAMES = (
    "class_dict.csv", "_classes.csv", "labelmap.txt", "id2label.json", "classes.txt",
    "class_names.txt", "labels.txt", "label_names.txt", "classes.csv", "classes.json",
    "data.yaml", "dataset.yaml",
)  # fmt: skip
"""File names to search for, the most specific first."""


class ClassRow(NamedTuple):
    """One class of a class file.

    Attributes:
        name: as written.
        stored: what masks of ids store for it.
        color: what masks of colours store, or None.
    """

    name: str
    stored: int
    color: Color | None = None


def find_class_file(export: Export) -> Path | None:
    """Return the class file nearest the root, or None; ``NAMES`` decides between several."""
    files = export.named(*NAMES)
    nearest = [file for file in files if len(file.parts) == len(files[0].parts)] if files else []
    return min(nearest, key=lambda file: NAMES.index(file.name.lower()), default=None)


def read_class_file(file: Path) -> list[ClassRow]:
    """Read the classes that a file lists, as :func:`~segdistill.data.files.class_rows` has them.

    Without ids, masks store the order of the file, where labelme's ``__ignore__`` takes none.

    Args:
        file: the file.

    Returns:
        Its classes, by stored id.

    Raises:
        DataError: the file cannot be read, lists none, is of no known form, or gives an id to
            some classes alone.
    """
    written = [row for row in read_class_rows(file) if row.name.lower() != NOT_LABELLED]
    without = [row.name for row in written if row.id is None]
    if without and len(without) < len(written):
        raise DataError(
            f"{file}: expected an id for each class or for none, got none for "
            f"{', '.join(without[:6])}; add them"
        )
    rows = [
        ClassRow(row.name, order if row.id is None else row.id, row.color)
        for order, row in enumerate(written)
    ]
    return sorted(rows, key=lambda row: row.stored)
