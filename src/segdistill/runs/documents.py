"""Records as JSON documents and JSON lines, checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from segdistill.errors import RunFolderError
from segdistill.files import check_ends, open_to_append, write_json, write_whole
from segdistill.json_text import load_json
from segdistill.runs.layout import FORMAT
from segdistill.yaml_text import load_yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record")

_RESTORE = "restore the file from a copy, or delete it and run the command again with --resume"


def write_document(file: Path, record: DataclassInstance) -> None:
    """Write a record as a JSON document, atomically, with the number of the format."""
    write_tree(file, asdict(record))


def write_tree(file: Path, tree: Mapping[str, Any]) -> None:
    """Write a JSON document, atomically, with the number of the format."""
    write_json(file, {"format": FORMAT} | dict(tree))


def read_document(file: Path, kind: type[Record]) -> Record:
    """Read a record that :func:`write_document` wrote, now or in an older release.

    Raises:
        RunFolderError: there is no such file, or it is broken, of a later format, or lacks a
            key; the message names file and key.
    """
    return check_record(file, kind, read_tree(file))


def read_tree(file: Path) -> dict[str, Any]:
    """Return the contents of a JSON document after checking its format.

    Raises:
        RunFolderError: as for :func:`read_document`.
    """
    try:
        tree = load_json(_text(file))
    except ValueError as error:
        raise RunFolderError(f"{file}: expected JSON, got {error}; {_RESTORE}") from None
    if not isinstance(tree, dict):
        raise RunFolderError(
            f"{file}: expected a JSON object, got {type(tree).__name__}; {_RESTORE}"
        )
    check_format(file, tree)
    return tree


def read_pairs(file: Path, kind: type[Any]) -> Any:
    """Read a document of values by pair, which format 0 kept at the top level."""
    tree = read_tree(file)
    return check_record(file, kind, tree.get("pairs", {}) if check_format(file, tree) else tree)


def check_format(file: Path, tree: Mapping[str, Any]) -> int:
    """Return the format of a document, 0 if it has none.

    Raises:
        RunFolderError: it is later than this release supports.
    """
    number = tree.get("format", 0)
    if not isinstance(number, int) or not 0 <= number <= FORMAT:
        raise RunFolderError(
            f"{file}: expected format {FORMAT} or older, got {number!r}; it was written by a newer "
            "segdistill; update this one"
        )
    return number


def check_record(
    file: Path, kind: type[Record], tree: Mapping[str, Any], *, line: int | None = None
) -> Record:
    """Convert the contents of a file to a record.

    Raises:
        RunFolderError: a key is missing or has a wrong value; file, line and key are named.
    """
    try:
        record: Record = _adapter(cast("Any", kind)).validate_python(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        where = str(file) if line is None else f"{file}, line {line}"
        wanted = first["msg"].removeprefix("Input should be ")
        value = repr(first["input"])
        if first["type"] == "missing":
            wanted, value = "a value", "none"
        raise RunFolderError(
            f"{where}: expected {wanted} at '{key}', got {_brief(value)}; {_RESTORE}"
        ) from None
    return record


def append_line(file: Path, record: DataclassInstance) -> None:
    """Append a record to a JSON-lines file, after removing a truncated last line.

    Raises:
        OverwriteError: the file is a link.
    """
    text = json.dumps(asdict(record), allow_nan=True) + "\n"
    with open_to_append(file) as out:
        end = out.seek(0, 2)
        if end:
            out.seek(end - 1)
            if out.read(1) != b"\n":
                out.seek(0)
                out.truncate(out.read().rfind(b"\n") + 1)
        out.write(text.encode())


def write_lines(file: Path, records: list[Any]) -> None:
    """Write a JSON-lines file atomically."""
    write_whole(file, "".join(json.dumps(asdict(record)) + "\n" for record in records))


def read_lines(file: Path, kind: type[Record]) -> list[Record]:
    """Return the records of a JSON-lines file; empty if there is no file.

    A truncated last line, left by a killed process, is ignored.

    Raises:
        RunFolderError: a line is broken; file, line and key are named.
    """
    if not file.exists():
        return []
    records = []
    for number, line in enumerate(_text(file).splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            break
        try:
            tree = load_json(line)
        except ValueError as error:
            raise RunFolderError(
                f"{file}, line {number}: expected JSON, got {error}; delete the line"
            ) from None
        records.append(check_record(file, kind, tree, line=number))
    return records


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file that contains a mapping.

    Raises:
        RunFolderError: there is no such file, or it is broken.
    """
    try:
        tree = load_yaml(_text(file))
    except ValueError as error:
        raise RunFolderError(f"{file}: {error}; {_RESTORE}") from None
    try:
        json.dumps(tree, allow_nan=False)
    except ValueError:
        raise RunFolderError(
            f"{file}: expected finite numbers, got one that is nan or infinite; {_RESTORE}"
        ) from None
    if not isinstance(tree, dict):
        raise RunFolderError(f"{file}: expected a mapping, got {type(tree).__name__}; {_RESTORE}")
    return tree


def write_yaml(file: Path, tree: Mapping[str, Any]) -> None:
    """Write a tree as YAML, atomically and with keys in their order."""
    write_whole(file, yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True))


def _text(file: Path) -> str:
    try:
        check_ends(file)
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunFolderError(
            f"{file}: expected a file of a run or study, got none; check the folder, or "
            "continue with --resume"
        ) from None
    except UnicodeDecodeError as error:
        raise RunFolderError(f"{file}: expected text, got {error}; {_RESTORE}") from None
    except OSError as error:
        got = error.strerror or error
        raise RunFolderError(f"{file}: expected a file, got {got}; {_RESTORE}") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _brief(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
