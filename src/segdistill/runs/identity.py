"""The inputs of a run or study besides its settings: ``identity.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segdistill.runs.documents import read_document, write_document
from segdistill.runs.layout import IDENTITY


@dataclass(frozen=True, kw_only=True)
class Identity:
    """``identity.json``.

    Attributes:
        contents: SHA-256 of what the config names by path, such as weights files, folders of
            networks, modules of own code, and names of the training images; by the key that
            names it, such as ``teacher.weights``.
        classes: names of the dataset's classes in the order of their ids; None until the data
            have been opened.
        extended: numbers of steps at which the run ended before it was extended.
    """

    contents: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    extended: tuple[int, ...] = ()


def write_identity(folder: Path, identity: Identity) -> None:
    """Write ``identity.json``."""
    write_document(folder / IDENTITY, identity)


def read_identity(folder: Path) -> Identity | None:
    """Read ``identity.json``; None if it does not exist, as in folders of older releases.

    Raises:
        RunFolderError: it is broken.
    """
    file = folder / IDENTITY
    return read_document(file, Identity) if file.exists() else None
