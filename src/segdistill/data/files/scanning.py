"""Listing folders, with one wording for those that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

from segdistill.errors import DataError


def visible_entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as scan:
            return [entry for entry in scan if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder that can be read, got {error.strerror or error}"
        ) from error
