"""A list of files: CSV or JSON lines that name images and masks wherever they are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from segdistill.data.files.classes import read_classes
from segdistill.data.files.dataset import FileDataset, Pair, find_layout
from segdistill.data.files.text import read_text
from segdistill.errors import DataError


def listing(
    *, split: str, root: Path, file: str = "data.csv", classes: str = "classes.txt"
) -> FileDataset:
    """Read one split of a list of files.

    The list is CSV with a header, or JSON lines (``.jsonl``). Each row has ``image``, and may
    have ``mask`` (empty where there is none), ``split`` (rows without it are in every split)
    and ``name``. Paths are relative to the root, or absolute. Other columns are passed over in
    a list that has masks and splits, and refused in one that has not: they may be misspelt.

    Args:
        split: which rows.
        root: folder of the list and what its paths are relative to.
        file: the list, relative to the root.
        classes: file of class names and colours, as for ``folder``.

    Returns:
        The rows of the split, in the order of the list.

    Raises:
        DataError: the list is missing or broken, it has no such rows, or files are missing.
    """
    root = Path(root)
    find_layout("list", root, (file, classes))
    names, code = read_classes(root / classes)
    rows = _read_rows(root / file)
    known = sorted({row["split"] for row in rows if row.get("split")})
    chosen = [row for row in rows if row.get("split") in (None, "", split)]
    if not chosen:
        raise DataError(
            f"{root / file}: expected rows of split {split}, got {', '.join(known) or 'no rows'}"
        )
    pairs = [
        Pair(row.get("name") or _name(root, row["image"]), row["image"], row.get("mask") or None)
        for row in chosen
    ]
    _check_names(root / file, pairs)
    return FileDataset(root, pairs, names, code)


def _name(root: Path, image: str) -> str:
    """Return a path without extension, and without what leads out of the root."""
    path = Path(image)
    path = path.relative_to(root) if path.is_relative_to(root) else path
    inside = [part for part in path.with_suffix("").parts if part not in (path.anchor, "..")]
    return "/".join(inside)


def _check_names(file: Path, pairs: list[Pair]) -> None:
    """Refuse names by which predictions could not be written, each below one folder."""
    images: dict[str, str] = {}
    for name, image, _ in pairs:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{file}: expected names without .. and root, got {name!r}")
        if images.setdefault(name, image) != image:
            raise DataError(
                f"{file}: expected one image a name, got {images[name]} and {image} for {name!r}; "
                "add a column name that tells them apart"
            )


def _read_rows(path: Path) -> list[dict[str, str]]:
    lines = read_text(path).splitlines(keepends=True)
    if path.suffix.lower() == ".jsonl":
        rows = [_parse(path, number, line) for number, line in enumerate(lines, start=1)]
        rows = [row for row in rows if row]
    else:
        try:
            table = [line for line in csv.reader(lines, skipinitialspace=True) if line]
        except csv.Error as error:
            raise DataError(f"{path}: expected CSV, got a broken row ({error})") from error
        columns, *cells = [[cell.strip() for cell in line] for line in table] or [[]]
        for number, line in enumerate(cells, start=1):
            if len(line) != len(columns):
                raise DataError(
                    f"{path}: expected {len(columns)} cells in each row, got {line} in row {number}"
                )
        rows = [dict(zip(columns, line, strict=True)) for line in cells]
    for number, row in enumerate(rows, start=1):
        if not _is_row(row):
            raise DataError(
                f"{path}: expected a column image in each row, got {row} in row {number}"
            )
    _check_columns(path, rows)
    return rows


def _check_columns(path: Path, rows: list[dict[str, str]]) -> None:
    """Refuse columns that could be masks or splits under another name."""
    given = {key for row in rows for key in row if key}
    missing = {"mask", "split"} - given
    others = sorted(given - {"image", "mask", "split", "name"})
    if missing and others:
        raise DataError(
            f"{path}: expected columns image, mask, split and name, got {', '.join(others)} and "
            f"no {' and no '.join(sorted(missing))}; rename them, or take them out"
        )


def _is_row(row: object) -> bool:
    """Return whether a row has an image that could be a file, and text where text belongs."""
    if not isinstance(row, dict):
        return False
    cells = [row.get(key) for key in ("image", "mask", "split", "name")]
    return all(cell is None or isinstance(cell, str) for cell in cells) and bool(
        cells[0] and Path(cells[0]).name
    )


def _parse(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        row: dict[str, str] = json.loads(line) if line.strip() else {}
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{number}: expected a JSON object, got {line[:60]!r}") from error
    return row
