"""The manifest of a packed dataset: what was packed, and the hash of each of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from segdistill.errors import DataError
from segdistill.files import BROKEN_ARRAY, check_ends, inside
from segdistill.json_text import load_json
from segdistill.types import Classes

MANIFEST = "segdistill-pack.json"
"""File that makes a folder a packed dataset."""

FORMAT = 1
"""Version of the manifest."""


def is_packed(root: Path) -> bool:
    """Return whether a folder contains a packed dataset."""
    return (Path(root) / MANIFEST).is_file()


class PackedFile(BaseModel):
    """Size and hash of one file."""

    bytes: int
    blake2b: str


class PackedSplit(BaseModel):
    """Number of images and files of one split."""

    images: int
    files: dict[str, PackedFile]


Level = Annotated[int, Field(ge=0, le=255)]


class PackedClasses(BaseModel):
    """Names and colours of the classes, as many of each."""

    names: tuple[str, ...] = Field(min_length=1)
    colors: tuple[tuple[Level, Level, Level], ...]

    @field_validator("colors")
    @classmethod
    def _one_for_each(
        cls, colors: tuple[tuple[int, int, int], ...], info: ValidationInfo
    ) -> tuple[tuple[int, int, int], ...]:
        names = info.data.get("names", colors)
        if len(colors) != len(names):
            raise PydanticCustomError("colors", f"{len(names)} colors wanted, one for each name")
        return colors


class Manifest(BaseModel):
    """The record of a packed dataset.

    Attributes:
        format: version of this record.
        content: ``raw`` arrays, or compressed ``tiles``.
        options: the config that was packed, without ``root``.
        classes: of the dataset.
        splits: by name.
    """

    format: Literal[1] = 1
    content: Literal["raw", "tiles"]
    options: dict[str, Any]
    classes: PackedClasses
    splits: dict[str, PackedSplit]


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of a packed dataset.

    Raises:
        DataError: it is missing, broken or of another version.
    """
    path = Path(root) / MANIFEST
    try:
        check_ends(path)
        tree = load_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected the manifest of a packed dataset, got {error}; pack it again"
        ) from error
    version = tree.get("format") if isinstance(tree, dict) else None
    if version != FORMAT:
        raise DataError(f"{path}: expected format {FORMAT}, got {version}; pack it again")
    try:
        return Manifest.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path}: expected a whole manifest, got {where}: {first['msg']}; pack it again"
        ) from error


def read_split(root: Path, split: str, parts: Sequence[str]) -> Classes:
    """Check that the files of a split are whole, and return the dataset's classes.

    Args:
        root: the packed folder.
        split: name of the split.
        parts: ends of the names of the files that it has to have.

    Raises:
        DataError: the manifest is missing, broken or of another version, or a file is missing
            or cut off.
    """
    manifest = read_manifest(root)
    files = manifest.splits[split].files
    for name in (f"{split}.{part}" for part in parts):
        expected = files[name].bytes if name in files else -1
        path = Path(root) / name
        size = path.stat().st_size if path.is_file() else 0
        if size != expected:
            raise DataError(
                f"{path}: expected {expected} bytes, got {size}; "
                "the packed copy is cut off: pack it again"
            )
        # The others are as large as the images: they are hashed where somebody asks for it.
        if path.suffix != ".bin" and _hash_file(path) != files[name].blake2b:
            raise DataError(_changed(path))
    return Classes(manifest.classes.names, manifest.classes.colors)


def read_index(path: Path, *columns: int) -> np.ndarray:
    """Return the integers of an index, which say where in other files images are.

    Raises:
        DataError: it is no array of integers from 0 (or -1, for none), or has other columns.
    """
    try:
        index: np.ndarray = np.load(path, allow_pickle=False)
    except BROKEN_ARRAY as error:
        raise DataError(f"{path}: expected an array, got {error}; pack it again") from None
    shape = "x".join(map(str, ("N", *columns)))
    if index.ndim != 1 + len(columns) or index.shape[1:] != columns or index.dtype.kind not in "iu":
        raise DataError(
            f"{path}: expected integers, {shape}, got {index.dtype} of {index.shape}; pack it again"
        )
    if index.size and index.min() < -1:
        raise DataError(f"{path}: expected no number below 0, got {index.min()}; pack it again")
    return index


def read_names(root: Path, split: str, count: int) -> list[str]:
    """Return the names of a split's images, each of which predictions can be written below.

    Raises:
        DataError: a name leads out of the folder that it would be written to, or there are not
            as many as images.
    """
    path = Path(root) / f"{split}.names.txt"
    try:
        names = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected names, got {error}; pack it again") from None
    if len(names) != max(count, 1):
        raise DataError(f"{path}: expected {count} names, got {len(names)}; pack it again")
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{path}: expected names without .. and root, got {name!r}")
    return names


def find_pack_faults(root: Path) -> list[str]:
    """Compare the hash of each file of a packed dataset with its manifest.

    Returns:
        One message per file that differs; empty if all are sound.
    """
    faults = []
    for split in read_manifest(root).splits.values():
        for name, expected in split.files.items():
            path = inside(root, name)
            if not path.is_file() or _hash_file(path) != expected.blake2b:
                faults.append(_changed(path))
    return faults


def _changed(path: Path) -> str:
    return f"{path}: expected the packed content, got other bytes; pack it again"


def describe_files(folder: Path, names: Sequence[str]) -> dict[str, PackedFile]:
    """Return size and hash of files, as the manifest keeps them."""
    return {
        name: PackedFile(bytes=(folder / name).stat().st_size, blake2b=_hash_file(folder / name))
        for name in names
    }


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
