"""Files of class names as annotation tools write them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segdistill.data.convert.export import Export
from segdistill.data.files.palettes import Color
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.yaml_text import load_yaml

NAMES = (
    "class_dict.csv", "_classes.csv", "labelmap.txt", "id2label.json", "classes.txt",
    "class_names.txt", "labels.txt", "label_names.txt", "classes.csv", "classes.json",
    "data.yaml", "dataset.yaml",
)  # fmt: skip
"""File names that are searched for, the most telling first."""


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
    found = export.named(*NAMES)
    nearest = [file for file in found if len(file.parts) == len(found[0].parts)] if found else []
    return min(nearest, key=lambda file: NAMES.index(file.name.lower()), default=None)


def read_class_file(file: Path) -> list[ClassRow]:
    """Read the classes that a file lists.

    Known are ``class_dict.csv`` (name, r, g, b with a header), Roboflow's ``_classes.csv``
    (Pixel Value, Class), CVAT's ``labelmap.txt`` (name:r,g,b:parts:actions),
    ``id2label.json``, YAML with ``names``, and text with one class a line: a name, a number
    and a name, or a name and a colour. labelme's ``__ignore__`` is no class and takes no id.

    Args:
        file: the file.

    Returns:
        Its classes, by stored id.

    Raises:
        DataError: the file cannot be read, lists none, or is of no known form.
    """
    text = read_text(file)
    kind = file.suffix.lower()
    if kind == ".json":
        rows = _from_json(text)
    elif kind in (".yaml", ".yml"):
        rows = _from_yaml(text)
    elif kind == ".csv":
        rows = _from_csv(text)
    else:
        rows = _from_lines(text)
    if not rows or any(not row.name for row in rows):
        raise DataError(
            f"{file}: expected class names in a known form, got none; write one name a line, "
            "in the order of the ids, into classes.txt"
        )
    return sorted(rows, key=lambda row: row.stored)


def _from_json(text: str) -> list[ClassRow]:
    try:
        content = json.loads(text)
    except ValueError:
        return []
    if isinstance(content, dict):
        content = content.get("id2label", content)
    if isinstance(content, list):
        return [ClassRow(str(name), place) for place, name in enumerate(content)]
    if not isinstance(content, dict):
        return []
    if all(str(key).isdigit() for key in content):
        return [ClassRow(str(name), int(key)) for key, name in content.items()]
    if all(isinstance(value, int) for value in content.values()):  # label2id
        return [ClassRow(str(name), value) for name, value in content.items()]
    return []


def _from_yaml(text: str) -> list[ClassRow]:
    try:
        content = load_yaml(text)
    except ValueError:
        return []
    names = content.get("names") if isinstance(content, dict) else None
    return _from_json(json.dumps(names)) if isinstance(names, list | dict) else []


def _from_csv(text: str) -> list[ClassRow]:
    table = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]
    if not table:
        return []
    header = [re.sub(r"[^a-z]", "", cell.lower()) for cell in table[0]]

    def column(*names: str) -> int | None:
        return next((header.index(name) for name in names if name in header), None)

    name, value = column("name", "class", "classname", "label"), column("pixelvalue", "id", "value")
    channels = [column(long, long[0]) for long in ("red", "green", "blue")]
    if name is None:
        return []
    rows = []
    for place, cells in enumerate(table[1:]):
        try:
            color = [int(cells[channel]) for channel in channels if channel is not None]
            stored = place if value is None else int(cells[value])
            rows.append(ClassRow(cells[name], stored, _color(color)))
        except (ValueError, IndexError):
            return []
    return rows


def _from_lines(text: str) -> list[ClassRow]:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    lines = [line for line in lines if line.lower() not in ("__ignore__", "_ignore_")]
    if lines and all(re.fullmatch(r"[^:]+:\d+,\d+,\d+:[^:]*:[^:]*", line) for line in lines):
        cells = [line.split(":")[:2] for line in lines]
        return [
            ClassRow(name, place, _color(list(map(int, color.split(",")))))
            for place, (name, color) in enumerate(cells)
        ]
    numbered = [re.fullmatch(r"(\d+)[\s,:]+(\D.*)", line) for line in lines]
    if lines and all(numbered):
        return [ClassRow(match[2].strip(), int(match[1])) for match in numbered if match]
    return [_from_line(line, place) for place, line in enumerate(lines)]


def _from_line(line: str, place: int) -> ClassRow:
    words = re.split(r"[\s,;]+", line)
    if len(words) > 3 and all(word.isdigit() and int(word) < 256 for word in words[-3:]):
        return ClassRow(" ".join(words[:-3]), place, _color(list(map(int, words[-3:]))))
    return ClassRow(" ".join(words), place)


def _color(channels: Sequence[int]) -> Color | None:
    if len(channels) != 3 or not all(0 <= value < 256 for value in channels):
        return None
    red, green, blue = channels
    return red, green, blue
