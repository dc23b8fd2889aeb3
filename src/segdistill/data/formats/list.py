"""A list of files: CSV or JSON lines that name images and masks wherever they are."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from segdistill.data.files.classes import read_classes
from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.matching import Pair, find_layout
from segdistill.data.files.reading import IMAGE_SUFFIXES
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.files import expand_path
from segdistill.json_text import load_json

_COLUMNS = {"image", "mask", "split", "name"}


def list(
    *, split: str, root: Path, file: str = "data.csv", classes: str = "classes.txt"
) -> FileDataset:
    """Read one split of a list of files.

    The list is a table with commas, semicolons, tabs or spaces between its cells, or JSON lines
    (``.jsonl``). Each row has ``image``, and may have ``mask`` (empty if there is none),
    ``split`` (rows without it are in every split) and ``name``, in upper or lower case; a table
    without a header has image, mask and split in this order. Paths are relative to the root, or
    absolute, with ``/`` or a backslash, and ``~`` and ``$VAR`` are filled in. Other columns are
    passed over in a list that has masks and splits, and refused in one that has not: they may be
    misspelt.

    Args:
        split: which rows.
        root: folder of the list, to which its paths are relative.
        file: the list, relative to the root.
        classes: file of class names and colours, as for ``folder``.

    Returns:
        The rows of the split, in the order of the list.

    Raises:
        DataError: the list is missing or broken, it has no such rows, or files are missing.
    """
    root = Path(root)
    file, classes = str(expand_path(file)), str(expand_path(classes))
    _check_places(root, {"data.file": file, "data.classes": classes})
    find_layout("list", root, (file, classes))
    names, code = read_classes(root / classes)
    rows = _read_rows(root / file)
    known = sorted({row["split"] for row in rows if row.get("split")})
    chosen = [row for row in rows if row.get("split") in (None, "", split)]
    if not chosen:
        raise DataError(
            f"{root / file}: expected rows of split {split}, got {', '.join(known) or 'no rows'}"
            + ("; name one of them in data.train_split or evaluation.split" if known else "")
        )
    pairs = []
    for row in chosen:
        image, mask = (_as_path(root, row.get(key) or "") for key in ("image", "mask"))
        pairs.append(Pair(row.get("name") or _name(root, image), image, mask or None))
    _check_names(root / file, pairs)
    return FileDataset(root, pairs, names, code)


def _check_places(root: Path, files: Mapping[str, str]) -> None:
    """Refuse files that lie where the command was typed, and not where they are looked for."""
    elsewhere = {
        key: Path(os.path.relpath(file, root)).as_posix()
        for key, file in files.items()
        if not (root / file).exists() and Path(file).is_file()
    }
    if elsewhere:
        keys, places = " and ".join(elsewhere), " ".join(map("=".join, elsewhere.items()))
        raise DataError(
            f"list: expected {keys} relative to data.root, which is {root}, got "
            f"{' and '.join(files[key] for key in elsewhere)} of the working folder; give {places}"
        )


def _as_path(root: Path, cell: str) -> str:
    """Return a path as this machine writes it, whatever machine the list is from."""
    if "\\" in cell and not (root / cell).exists():
        cell = cell.replace("\\", "/")
    if not cell.startswith("~") and "$" not in cell:
        return cell
    try:
        return str(expand_path(cell))
    except ValueError as error:
        raise DataError(f"list: {error}") from None


def _name(root: Path, image: str) -> str:
    """Return a path without its extension and without parts that lead out of the root."""
    path = Path(image)
    path = path.relative_to(root) if path.is_relative_to(root) else path
    inside = [part for part in path.with_suffix("").parts if part not in (path.anchor, "..")]
    return "/".join(inside)


def _check_names(file: Path, pairs: Sequence[Pair]) -> None:
    """Refuse names under which predictions could not be written below one folder."""
    images: dict[str, str] = {}
    for name, image, _ in pairs:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{file}: expected names without .. and root, got {name!r}")
        if images.setdefault(name, image) != image:
            raise DataError(
                f"{file}: expected one image per name, got {images[name]} and {image} for "
                f"{name!r}; add a column name that tells them apart"
            )


def _read_rows(path: Path) -> Sequence[dict[str, str]]:
    text = read_text(path)
    lines = text.splitlines(keepends=True)
    if text.lstrip().startswith("["):
        raise DataError(
            f"{path}: expected CSV or JSON lines, got a JSON array; write one object per line "
            "into a .jsonl file"
        )
    if path.suffix.lower() == ".jsonl":
        parsed = [_parse(path, number, line) for number, line in enumerate(lines, start=1)]
        rows: Sequence[dict[str, str]] = [row for row in parsed if row]
    else:
        rows = _from_table(path, lines)
    for number, row in enumerate(rows, start=1):
        if not _is_row(row):
            raise DataError(
                f"{path}: expected a column image in each row, got {row} in row {number}; give "
                "the columns the names image, mask, split and name"
            )
    _check_columns(path, rows)
    return rows


def _from_table(path: Path, lines: Sequence[str]) -> Sequence[dict[str, str]]:
    if lines and lines[0].lower().startswith("sep="):  # a note that Excel writes for itself
        lines = lines[1:]
    delimiter = _delimiter(lines[0]) if lines else ","
    try:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        table = [line for line in reader if line]
    except csv.Error as error:
        raise DataError(f"{path}: expected CSV, got a broken row ({error})") from error
    first, *others = [[cell.strip() for cell in line] for line in table] or [[]]
    columns, cells = _header(first, others)
    for number, line in enumerate(cells, start=1):
        if len(line) != len(columns):
            raise DataError(
                f"{path}: expected {len(columns)} cells in each row, got {line} in row {number}"
            )
    return [dict(zip(columns, line, strict=True)) for line in cells]


def _delimiter(line: str) -> str:
    if not any(mark in line for mark in "\t;,") and len(words := line.split()) > 1:
        # Names may have spaces: only where every word is a file, or a header.
        return " " if _is_file(words[0]) or "image" in map(str.lower, words) else ","
    return next((mark for mark in "\t;" if mark in line), ",")


def _header(
    columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the columns in lower case; those of a table without a header by their place."""
    lower = [column.lower() for column in columns]
    if "image" in lower or not columns or not _is_file(columns[0]):
        known = [
            word if word in _COLUMNS else column
            for word, column in zip(lower, columns, strict=True)
        ]
        return known, cells
    second = ["mask"] if len(columns) > 1 and (_is_file(columns[1]) or not columns[1]) else []
    names = ["image", *second, "split"][: len(columns)]
    return names, [columns, *cells]


def _is_file(cell: str) -> bool:
    return PureWindowsPath(cell).suffix.lower() in IMAGE_SUFFIXES


def _check_columns(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Refuse columns that could be masks or splits under another name."""
    columns = {key for row in rows for key in row if key}
    missing = {"mask", "split"} - columns
    others = sorted(columns - _COLUMNS)
    if missing and others:
        raise DataError(
            f"{path}: expected columns image, mask, split and name, got {', '.join(others)} and "
            f"no {' and no '.join(sorted(missing))}; rename or remove them"
        )


def _is_row(row: object) -> bool:
    """Return whether a row names an image file, and all its known cells are text."""
    if not isinstance(row, dict):
        return False
    cells = [row.get(key) for key in ("image", "mask", "split", "name")]
    return all(cell is None or isinstance(cell, str) for cell in cells) and bool(
        cells[0] and Path(cells[0]).name
    )


def _parse(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        row: dict[str, str] = load_json(line) if line.strip() else {}
    except ValueError as error:
        raise DataError(f"{path}:{number}: expected a JSON object, got {line[:60]!r}") from error
    return row
