"""Class files of annotation tools, row by row: names, ids and colours as they are written."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from segdistill.data.files.palettes import Color
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.json_text import load_json
from segdistill.yaml_text import load_yaml

FORMS = (
    "one class per line: 'sky', '0 sky', 'sky 70 130 180' or 'ignore 0 0 0', with spaces, tabs, "
    "commas or semicolons; or class_dict.csv, _classes.csv, CVAT's labelmap.txt, labelme's "
    "labels.txt, id2label.json, data.yaml"
)
"""The forms that can be read, for messages."""

NOT_LABELLED = "__ignore__"
"""labelme's line for what has no class; it takes no id."""

_IGNORED = ("ignore", NOT_LABELLED)
_NAME_COLUMNS = ("name", "class", "classes", "class_name", "classname", "label", "labels")
_ID_COLUMNS = ("id", "pixel_value", "value", "index", "class_id", "label_id", "class_index")
_COLOR_COLUMNS = ("color", "colour", "rgb", "color_rgb", "hex")
_CHANNEL_COLUMNS = (("r", "red"), ("g", "green"), ("b", "blue"))
# A name with one of these is a line of JSON, HTML, INI, of numbers or of a list of files.
_NO_NAME = re.compile(
    r"[\[\]{}<>=\"|\x00-\x1f]|\.(jpe?g|png|tiff?|bmp|webp)$|^-?\d+([\s,;]+-?\d+)+$", re.IGNORECASE
)
_CVAT = re.compile(r"([^:]+):(\d*,\d*,\d*|)(:[^:]*){1,2}")


class ClassRow(NamedTuple):
    """What one entry of a class file says.

    Attributes:
        name: as written.
        id: what masks of ids store for it, or None if the file does not say.
        color: what masks of colours store, or None.
    """

    name: str
    id: int | None = None
    color: Color | None = None


def read_class_rows(file: Path) -> list[ClassRow]:
    """Read the entries of a class file, in its order.

    Read are one class per line, with an id before or after the name, with a colour after it
    (three numbers or ``#rrggbb``), or with neither; tables with a header (``class_dict.csv``,
    ``_classes.csv`` of Roboflow); ``labelmap.txt`` of CVAT; ``labels.txt`` of labelme; and JSON
    or YAML: lists of names, ``id2label``, ``label2id``, categories of COCO, ``names`` of
    Ultralytics.

    Args:
        file: the class file.

    Raises:
        DataError: the file is missing, empty or no class file.
    """
    if not file.is_file():
        raise DataError(
            f"{file}: expected a file with one class name per line, got nothing; write it"
        )
    rows = _parse(file, read_text(file))
    if not rows:
        raise DataError(f"{file}: expected {FORMS}; got no class")
    for row in rows:
        if _NO_NAME.search(row.name) or not row.name or len(row.name) > 100:
            raise DataError(
                f"{file}: expected {FORMS}; got the name {row.name[:60]!r}; name the file of "
                "the classes in data.classes, or write one"
            )
    return rows


def _parse(file: Path, text: str) -> list[ClassRow]:
    is_yaml = file.suffix.lower() in (".yaml", ".yml")
    if is_yaml or file.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        try:
            tree = load_yaml(text) if is_yaml else load_json(text)
        except ValueError as error:
            raise DataError(f"{file}: expected {FORMS}; got a broken file ({error})") from error
        return _from_tree(file, tree)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    if lines and all(_CVAT.fullmatch(line) for line in lines):
        return [_from_cvat(line) for line in lines]
    return _from_table(file, lines) or _from_lines(lines)


def _from_tree(file: Path, tree: Any) -> list[ClassRow]:
    """Read names from JSON or YAML: a list, or a mapping either way, maybe one level down."""
    if isinstance(tree, dict):
        for key in ("id2label", "label2id", "names", "categories", "labels", "classes"):
            if isinstance(tree.get(key), dict | list):
                return _from_tree(file, tree[key])
        if tree and all(isinstance(value, str) for value in tree.values()):
            if all(str(key).isdigit() for key in tree):
                return [ClassRow(name, int(key)) for key, name in tree.items()]
        elif tree and "nc" not in tree and all(isinstance(id_, int) for id_ in tree.values()):
            return [ClassRow(str(name), value) for name, value in tree.items()]
        raise DataError(
            f"{file}: expected ids and names, as in id2label.json, got the keys "
            f"{', '.join(map(str, list(tree)[:6]))}; name the file of the classes in data.classes"
        )
    if isinstance(tree, list) and all(isinstance(entry, str) for entry in tree):
        return [ClassRow(name) for name in tree]
    if isinstance(tree, list) and all(isinstance(entry, dict) for entry in tree):
        return [_from_cells(file, {str(k).lower(): v for k, v in entry.items()}) for entry in tree]
    raise DataError(f"{file}: expected names of classes, got {str(tree)[:60]!r}; write a list")


def _from_cvat(line: str) -> ClassRow:
    name, color, *_ = line.split(":")
    numbers = [int(word) for word in color.split(",") if word]
    return ClassRow(name, color=(numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None)


def _from_table(file: Path, lines: list[str]) -> list[ClassRow]:
    """Read a table with a header; return nothing if the first line is none."""
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
        rows.append(_from_cells(file, dict(zip(header, cells, strict=True))))
    return rows


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _column(cell: str) -> str:
    return re.sub(r"[\s_-]+", "_", cell.strip().lower())


def _from_cells(file: Path, cells: Mapping[str, Any]) -> ClassRow:
    def first(columns: Iterable[str]) -> Any:
        return next((cells[column] for column in columns if column in cells), None)

    channels = [first(columns) for columns in _CHANNEL_COLUMNS]
    color = first(_COLOR_COLUMNS)
    words = channels if None not in channels else color if isinstance(color, list) else None
    if words is None and isinstance(color, str):
        words = re.split(r"[\s,;]+", color.strip("()[] "))
    parts = [str(word).strip() for word in words or () if str(word).strip()]
    name, number = str(first(_NAME_COLUMNS) or "").strip(), first(_ID_COLUMNS)
    if parts and _color(parts) is None:
        raise DataError(
            f"{file}: expected three numbers from 0 to 255, or #rrggbb, as the colour of {name}, "
            f"got {' '.join(parts)[:40]}; correct it"
        )
    return ClassRow(name, int(number) if str(number).lstrip("-").isdigit() else None, _color(parts))


def _from_lines(lines: list[str]) -> list[ClassRow]:
    split = [_split(line) for line in lines]
    named = [words for words, _ in split if words[0].lower() not in _IGNORED]
    if all(word.isdigit() for words in named for word in words):
        named = []  # names by themselves, or no class file
    # 'lane 1' and 'lane 2' are names; '1 lane' and 'lane 1' with one lane are ids.
    before = bool(named) and all(len(words) > 1 and words[0].isdigit() for words in named)
    stems = [" ".join(words[:-1]) for words in named]
    after = (
        bool(named)
        and not before
        and all(len(words) > 1 and words[-1].isdigit() for words in named)
        and len(set(stems)) == len(stems)
    )
    rows = []
    for words, color in split:
        first, last = words[0], words[-1]
        ends_in_id = (after or first.lower() in _IGNORED) and re.fullmatch(r"-?\d+", last)
        if before and len(words) > 1 and re.fullmatch(r"-?\d+", first):
            rows.append(ClassRow(" ".join(words[1:]), int(first), color))
        elif ends_in_id and len(words) > 1:
            rows.append(ClassRow(" ".join(words[:-1]), int(last), color))
        else:
            rows.append(ClassRow(" ".join(words), None, color))
    return rows


def _split(line: str) -> tuple[list[str], Color | None]:
    """Return the words of a line without its colour, and the colour."""
    line = re.sub(r"^(-?\d+)\s*:\s*", r"\1 ", line)  # '0: sky'
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
