"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_whole(file: Path, content: bytes | str) -> None:
    """Write a file by temporary name, fsync and rename.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file of that name
            is untouched and no temporary one is left.
    """
    raw = content.encode() if isinstance(content, str) else content
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def inside(folder: Path | str, name: str) -> Path:
    """Return the path of a name that came with data, which may not lead out of its folder.

    Args:
        folder: that the person chose.
        name: of a sample, learner or file, perhaps with folders of its own.

    Raises:
        ValueError: the name is absolute, leads up, or through a link that leads elsewhere.
    """
    root = Path(folder)
    path = root / name
    if not name or not path.resolve().is_relative_to(root.resolve()) or path == root:
        raise ValueError(
            f"{root}: expected a name that stays below this folder, got {name!r}; rename it"
        )
    return path


def write_json(file: Path, value: Any) -> None:
    """Write a value as indented JSON, whole; see :func:`write_whole`."""
    write_whole(file, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(file: Path) -> Any:
    """Read a JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))
