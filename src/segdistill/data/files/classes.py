"""Files of class names, in the forms that annotation tools write: names, ids and colours."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from segdistill.config import load_yaml
from segdistill.data.files.labels import (
    MAX_CLASSES,
    ColorCode,
    IdCode,
    IdOrColorCode,
    LabelCode,
    plain_ids,
)
from segdistill.data.files.palettes import Color, distinct_colors
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

_FORMS = (
    "one class per line: 'sky', '0 sky', 'sky 70 130 180' or 'ignore 0 0 0', with spaces, tabs, "
    "commas or semicolons; or class_dict.csv, _classes.csv, CVAT's labelmap.txt, labelme's "
    "labels.txt, id2label.json, data.yaml"
)
_IGNORED = ("ignore", "__ignore__")
_VOID_AT_255 = ("ignore", "ignored", "void", "unlabeled", "unlabelled", "border", "none")
_NAME_COLUMNS = ("name", "class", "classes", "class_name", "classname", "label", "labels")
_ID_COLUMNS = ("id", "pixel_value", "value", "index", "class_id", "label_id", "class_index")
_COLOR_COLUMNS = ("color", "colour", "rgb", "color_rgb", "hex")
_CHANNEL_COLUMNS = (("r", "red"), ("g", "green"), ("b", "blue"))
# A name with one of these is a line of JSON, HTML, INI or of a list of files.
_NO_NAME = re.compile(r"[\[\]{}<>=\"|\x00-\x1f]|\.(jpe?g|png|tiff?|bmp|webp)$", re.IGNORECASE)
_CVAT = re.compile(r"([^:]+):(\d*,\d*,\d*|)(:[^:]*){1,2}")


class _Row(NamedTuple):
    """What one entry of a class file says."""

    name: str
    id: int | None = None
    color: Color | None = None


def read_classes(file: Path) -> tuple[Classes, LabelCode]:
    """Read class names, with the ids and colours that masks store where these are given.

    Read are one class per line, with an id before or after the name, with a colour after it
    (three numbers or ``#rrggbb``), or with neither, then in the order of the ids; tables with a
    header (``class_dict.csv``, ``_classes.csv`` of Roboflow); ``labelmap.txt`` of CVAT;
    ``labels.txt`` of labelme; and JSON or YAML: lists of names, ``id2label``, ``label2id``,
    categories of COCO, ``names`` of Ultralytics. A class named ``ignore`` is none: its colour or
    id has no class, and neither has the line ``__ignore__`` of labelme.

    Args:
        file: the class file.

    Returns:
        The classes in the order of their ids, and what their masks store: ids, colours, or
        either where the file gives both.

    Raises:
        DataError: the file is missing, empty or no class file; a name, id or colour repeats;
            or some classes have an id or a colour and others not.
    """
    if not file.is_file():
        raise DataError(
            f"{file}: expected a file with one class name per line, got nothing; write it"
        )
    rows = _parse(file, read_text(file))
    kept = [row for row in rows if not _is_ignored(row)]
    ignored = [row for row in rows if _is_ignored(row)]
    _check_rows(file, kept, ignored)
    if kept[0].id is not None:
        kept.sort(key=lambda row: row.id or 0)
    names = tuple(row.name for row in kept)
    given = {row.id: train for train, row in enumerate(kept) if row.id is not None}
    void = {row.id: IGNORE_INDEX for row in ignored if row.id is not None and row.id >= 0}
    ids = IdCode({IGNORE_INDEX: IGNORE_INDEX, **void, **(given or plain_ids(len(kept)).ids)})
    if kept[0].color is None:
        return Classes(names, distinct_colors(len(names))), ids
    colors = {row.color: train for train, row in enumerate(kept) if row.color is not None}
    code = ColorCode(
        {**colors, **{row.color: IGNORE_INDEX for row in ignored if row.color is not None}}
    )
    either = code if kept[0].id is None else IdOrColorCode(ids, code)
    return Classes(names, tuple(colors)), either


def _is_ignored(row: _Row) -> bool:
    return row.name in _IGNORED or (row.id == IGNORE_INDEX and row.name.lower() in _VOID_AT_255)


def _check_rows(file: Path, kept: list[_Row], ignored: list[_Row]) -> None:
    if not 0 < len(kept) <= MAX_CLASSES:
        raise DataError(f"{file}: expected 1 to {MAX_CLASSES} classes, got {len(kept)}")
    for row in kept:
        if _NO_NAME.search(row.name) or not row.name or len(row.name) > 100:
            raise DataError(
                f"{file}: expected {_FORMS}; got the name {row.name[:60]!r}; name the file of "
                "the classes in data.classes, or write one"
            )
    given: dict[str, list[Any]] = {
        "name": [row.name for row in kept],
        "id": [row.id for row in (*kept, *ignored)],
    }
    for what, values in given.items():
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
                f"{file}: expected an id without a class for {row.name}, got {row.id}, which is "
                f"{kept[row.id].name} by its line; give every class its id, as in '0 sky'"
            )
        if row.name == "ignore" and row.id is None and row.color is None:
            # Left out, it would move the ids of all classes below it.
            raise DataError(
                f"{file}: expected a colour or an id for ignore, got none; in masks of ids 255 "
                "has no class: take the line out, or give the class another name"
            )


def _parse(file: Path, text: str) -> list[_Row]:
    suffix = file.suffix.lower()
    if suffix in (".yaml", ".yml") or text.lstrip()[:1] in ("{", "["):
        try:
            tree = load_yaml(text) if suffix in (".yaml", ".yml") else json.loads(text)
        except ValueError as error:
            raise DataError(f"{file}: expected {_FORMS}; got a broken file ({error})") from error
        return _from_tree(file, tree)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    if lines and all(_CVAT.fullmatch(line) for line in lines):
        return [_from_cvat(line) for line in lines]
    return _from_table(file, lines) or _from_lines(lines)


def _from_tree(file: Path, tree: Any) -> list[_Row]:
    """Read what JSON or YAML hold: a list, or a mapping either way, maybe one level down."""
    if isinstance(tree, dict):
        for key in ("id2label", "label2id", "names", "categories", "labels", "classes"):
            if isinstance(tree.get(key), dict | list):
                return _from_tree(file, tree[key])
        if tree and all(isinstance(value, str) for value in tree.values()):
            if all(str(key).isdigit() for key in tree):
                return [_Row(name, int(key)) for key, name in tree.items()]
        elif tree and all(isinstance(value, int) for value in tree.values()):
            return [_Row(str(name), value) for name, value in tree.items()]
        raise DataError(
            f"{file}: expected ids and names, as in id2label.json, got the keys "
            f"{', '.join(map(str, list(tree)[:6]))}; name the file of the classes in data.classes"
        )
    if isinstance(tree, list) and all(isinstance(entry, str) for entry in tree):
        return [_Row(name) for name in tree]
    if isinstance(tree, list) and all(isinstance(entry, dict) for entry in tree):
        return [_from_cells({str(k).lower(): v for k, v in entry.items()}) for entry in tree]
    raise DataError(f"{file}: expected names of classes, got {str(tree)[:60]!r}; write a list")


def _from_cvat(line: str) -> _Row:
    name, color, *_ = line.split(":")
    numbers = [int(word) for word in color.split(",") if word]
    return _Row(name, color=(numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None)


def _from_table(file: Path, lines: list[str]) -> list[_Row]:
    """Read a table with a header; return nothing where the first line is none."""
    if not lines:
        return []
    delimiter = next((mark for mark in "\t;," if mark in lines[0]), None)
    header = [_column(cell) for cell in _cells(lines[0], delimiter)]
    others = {*_ID_COLUMNS, *_COLOR_COLUMNS, *sum(_CHANNEL_COLUMNS, ())}
    if not set(header) & set(_NAME_COLUMNS) or not (len(header) == 1 or set(header) & others):
        return []
    rows = []
    for line in lines[1:]:
        cells = _cells(line, delimiter)
        if len(cells) != len(header):
            raise DataError(
                f"{file}: expected {len(header)} cells in each row ({', '.join(header)}), got "
                f"{line[:60]!r}"
            )
        rows.append(_from_cells(dict(zip(header, cells, strict=True))))
    return rows


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _column(cell: str) -> str:
    return re.sub(r"[\s_-]+", "_", cell.strip().lower())


def _from_cells(cells: Mapping[str, Any]) -> _Row:
    def first(columns: Iterable[str]) -> Any:
        return next((cells[column] for column in columns if column in cells), None)

    channels = [first(columns) for columns in _CHANNEL_COLUMNS]
    color = first(_COLOR_COLUMNS)
    words = channels if None not in channels else color if isinstance(color, list) else None
    if words is None and isinstance(color, str):
        words = re.split(r"[\s,;]+", color.strip("()[] "))
    number = first(_ID_COLUMNS)
    return _Row(
        str(first(_NAME_COLUMNS) or "").strip(),
        int(number) if str(number).lstrip("-").isdigit() else None,
        _color([str(word).strip() for word in words]) if words else None,
    )


def _from_lines(lines: list[str]) -> list[_Row]:
    split = [_split(line) for line in lines]
    named = [(words, color) for words, color in split if words and words[0] not in _IGNORED]
    # 'lane 1' and 'lane 2' are names; '1 lane' and 'lane 1' with one lane are ids.
    before = bool(named) and all(len(w) > 1 and w[0].isdigit() for w, _ in named)
    stems = [" ".join(words[:-1]) for words, _ in named]
    after = (
        bool(named)
        and not before
        and all(len(words) > 1 and words[-1].isdigit() for words, _ in named)
        and len(set(stems)) == len(stems)
    )
    rows = []
    for words, color in split:
        first, last = words[0], words[-1]
        if before and len(words) > 1 and re.fullmatch(r"-?\d+", first):
            rows.append(_Row(" ".join(words[1:]), int(first), color))
        elif (after or first in _IGNORED) and len(words) > 1 and re.fullmatch(r"-?\d+", last):
            rows.append(_Row(" ".join(words[:-1]), int(last), color))
        else:
            rows.append(_Row(" ".join(words), None, color))
    return rows


def _split(line: str) -> tuple[list[str], Color | None]:
    """Return the words of a line without its colour, and the colour."""
    words = [word for word in re.split(r"[\s,;]+", line) if word]
    for count in (1, 3):
        color = _color(words[-count:]) if len(words) > count else None
        if color is not None:
            return words[:-count], color
    return words or [""], None


def _color(words: list[str]) -> Color | None:
    if len(words) == 1 and re.fullmatch(r"#[0-9a-fA-F]{6}", words[0]):
        number = int(words[0][1:], 16)
        return number >> 16, number >> 8 & 255, number & 255
    if len(words) == 3 and all(word.isdigit() and int(word) < 256 for word in words):
        red, green, blue = map(int, words)
        return red, green, blue
    return None
