"""Files that are there whole or not at all, and never in place of somebody else's."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from segdistill.errors import DataError, OverwriteError
from segdistill.json_text import load_json

LEDGER = ".segdistill.jsonl"
"""What commands wrote into a folder: a line for each file, with its command and SHA-256."""

BROKEN_ARRAY = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy raises at files that are no arrays, or claim to hold more than memory does."""

_NAMED = 10  # of the files that a message lists
_TEMPORARY = re.compile(r"\..*\.(\d+)\.tmp")
_BEGAN = time.time()


def write_whole(file: Path, content: bytes | str, *, made_by: str | None = None) -> None:
    """Write a file by temporary name, fsync and rename; its folder is made if need be.

    Args:
        file: where to.
        content: of the file; text becomes UTF-8.
        made_by: the command that may write over it later; see :func:`claim`.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file of that name
            is untouched and no temporary one is left.
    """
    raw = content.encode() if isinstance(content, str) else content
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)  # of a killed process of this number, or a link
    try:
        with temporary.open("xb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        move_whole(temporary, file, made_by=made_by)
    finally:
        temporary.unlink(missing_ok=True)


def move_whole(finished: Path, file: Path, *, made_by: str | None = None) -> None:
    """Give a finished file its name; see :func:`write_whole`."""
    if made_by is not None:
        # Before the rename: a command killed between the two may still be repeated.
        line = {"file": file.name, "made_by": made_by, "sha256": _digest(finished)}
        # Begins with an end of line: the line before may have been cut short by a kill.
        with open_to_append(file.with_name(LEDGER)) as ledger:
            ledger.write(f"\n{json.dumps(line)}\n".encode())
    finished.replace(file)


def open_to_append(file: Path) -> BinaryIO:
    """Open a file for reading and adding to it, made if need be, and never through a link.

    Raises:
        OverwriteError: it is a link.
        OSError: it is no file, or cannot be written.
    """
    refuse_link(file)
    check_ends(file)
    return file.open("ab+") if os.name == "nt" else open(file, "ab+", opener=_open_no_link)


def _open_no_link(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW, 0o666)


def refuse_link(file: Path) -> None:
    """Refuse a link where a file is added to: it is somebody else's, wherever it leads.

    Raises:
        OverwriteError: it is one.
    """
    if file.is_symlink():
        raise OverwriteError(
            f"{file}: expected a file of its own, got a link to {os.readlink(file)}; remove the "
            "link, or choose another folder"
        )


@contextmanager
def temporary_folder(file: Path) -> Iterator[Path]:
    """Make a folder beside a file for a block; what a kill leaves of it is for :func:`sweep`."""
    ending = f".{os.getpid()}.tmp"
    with tempfile.TemporaryDirectory(ending, f".{file.name}.", file.parent) as name:
        yield Path(name)


def sweep(folder: Path) -> None:
    """Delete the temporary files and folders that killed processes left in a folder."""
    for left in folder.glob(".*.tmp") if folder.is_dir() else ():
        match = _TEMPORARY.fullmatch(left.name)
        if match is None:
            continue
        pid = int(match[1])
        with suppress(FileNotFoundError):
            # In a container a new process often has the number of the one that was killed.
            own = pid == os.getpid() and left.lstat().st_mtime >= _BEGAN
            if own or (pid != os.getpid() and _runs(pid)):
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def _runs(pid: int) -> bool:
    """Return whether a process of this number runs on this machine."""
    if os.name == "nt":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def claim(
    who: str, files: Iterable[Path], *, reads: Iterable[Path] = (), recorded: bool = True
) -> None:
    """Refuse to write where a file lies that the same command did not make.

    A file is a command's own if the folder's ledger says so and its content has not been
    changed since. What the command reads is never its own, under whatever name.

    Args:
        who: the command.
        files: what it is about to write.
        reads: what it reads.
        recorded: whether it records what it writes; what is to be edited is not recorded, and is
            never replaced.

    Raises:
        OverwriteError: names the files that would be lost.
    """
    files = list(files)
    for folder in {file.parent for file in files}:
        sweep(folder)  # a command that was killed may be repeated
        if recorded:
            refuse_link(folder / LEDGER)  # now, not when everything is computed
    present = [file for file in files if os.path.lexists(file)]
    if not present:
        return
    inputs = {_identity(file) for file in reads if file.exists()}
    own = {folder: _read_ledger(folder, who) for folder in {file.parent for file in present}}
    foreign = [
        file
        for file in present
        if file.is_symlink()
        or not file.is_file()
        or _identity(file) in inputs
        or _digest(file) not in own[file.parent].get(file.name, ())
    ]
    if foreign:
        single = len(foreign) == 1
        got = foreign[0] if single else f"{len(foreign)} others"
        repeated = f", or an unchanged one written by {who}" if recorded else ""
        raise OverwriteError(
            f"{who}: expected a new file{repeated}, got "
            f"{got}; choose another place, or remove what is there"
            f"{'' if single else ':' + _listed(map(str, foreign))}"
        )


def claim_tree(who: str, root: Path) -> list[Path]:
    """Refuse a folder with files that a command did not make; see :func:`claim`.

    Returns:
        The command's own files below it, without what killed processes left, which is deleted.

    Raises:
        OverwriteError: names the files that would be lost.
    """
    sweep(root)
    for folder in root.rglob("*"):
        if folder.is_dir():
            sweep(folder)
    files = sorted(file for file in root.rglob("*") if not file.is_dir() and file.name != LEDGER)
    claim(who, files)
    return files


def refuse_shared_names(who: str, files: Sequence[Path], sources: Sequence[str]) -> None:
    """Refuse to write two things to one file, on any file system.

    Names that differ in case or Unicode form alone are one name on some systems.

    Args:
        who: the command.
        files: what it is about to write.
        sources: what each is made of.

    Raises:
        DataError: names the sources.
    """
    makers: dict[str, list[str]] = {}
    for file, source in zip(files, sources, strict=True):
        makers.setdefault(unicodedata.normalize("NFC", str(file)).casefold(), []).append(source)
    shared = [" and ".join(several) for several in makers.values() if len(several) > 1]
    if shared:
        raise DataError(
            f"{who}: expected one image for each name, got {len(shared)} for several; nothing "
            f"was written; rename images, or call {who} for each folder:{_listed(shared)}"
        )


def real_path(path: Path | str) -> Path:
    """Return a path without links; unlike ``Path.resolve``, it also takes links in a circle."""
    return Path(os.path.realpath(path))


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
    if name and path != root and real_path(path).is_relative_to(real_path(root)):
        return path
    got = f"{name!r}; rename it"
    written = os.path.normpath(name) if name else ".."
    if path != root and not os.path.isabs(written) and written.partition(os.sep)[0] != "..":
        got = f"{name!r}, by a link to {real_path(path)}; remove the link"
    raise ValueError(f"{root}: expected a name that stays below this folder, got {got}")


def check_ends(file: Path) -> None:
    """Refuse a pipe, socket or device where a file is expected: reading it might never end.

    What is missing, or a folder, is left to whoever opens it.

    Raises:
        OSError: it is one.
    """
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.ESPIPE, "a pipe, socket or device, not a file", str(file))


def write_json(file: Path, value: Any) -> None:
    """Write a value as indented JSON, whole; see :func:`write_whole`."""
    write_whole(file, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(file: Path) -> Any:
    """Read a JSON file."""
    return load_json(file.read_text(encoding="utf-8"))


def _read_ledger(folder: Path, who: str) -> dict[str, set[str]]:
    """Return the digests of what a command wrote into a folder, by file name.

    A line that is broken, as a kill leaves it, vouches for no file.
    """
    made: dict[str, set[str]] = {}
    ledger = folder / LEDGER
    for line in ledger.read_bytes().splitlines() if ledger.is_file() else ():
        try:
            entry = load_json(line)
            file, maker, digest = entry["file"], entry["made_by"], entry["sha256"]
        except (ValueError, KeyError, TypeError):
            continue
        if maker == who and isinstance(file, str) and isinstance(digest, str):
            made.setdefault(file, set()).add(digest)
    return made


def _digest(file: Path) -> str:
    check_ends(file)
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _identity(file: Path) -> tuple[int, int]:
    """Return what is the same for all names of a file: links, hard links, other cases."""
    status = file.stat()
    return status.st_dev, status.st_ino


def _listed(names: Iterable[str]) -> str:
    lines = list(names)
    more = [f"and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return "".join(f"\n  {line}" for line in [*lines[:_NAMED], *more])


def expand_path(path: str | Path) -> Path:
    """Return a path with ``~`` and ``$VAR`` filled in; one that exists as written stays.

    Raises:
        ValueError: a variable is not set, or there is no such user.
    """
    written = Path(path)
    if "$" not in str(path) and not str(path).startswith("~"):
        return written
    if written.exists():
        return written
    expanded = os.path.expanduser(os.path.expandvars(path))
    unset = re.search(r"\$(\w+|\{[^}]*\})", expanded)
    if unset or expanded.startswith("~"):
        raise ValueError(
            f"expected a path, got {str(path)!r}, in which {unset[0] if unset else '~'} is not "
            "set; set it, or write the path out"
        )
    return Path(expanded)
