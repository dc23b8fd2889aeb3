"""Text files of datasets: every failure names its file."""

from __future__ import annotations

from pathlib import Path

from segdistill.errors import DataError
from segdistill.files import check_ends


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: the file cannot be read, or is in another encoding; it is named.
    """
    try:
        check_ends(path)
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8, got the byte {error.object[error.start]:#04x} at "
            f"{error.start}; save it as UTF-8"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a text file, got {error.strerror or error}; check the path"
        ) from error
