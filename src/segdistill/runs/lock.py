"""One writer per folder: a lock file that names the writing process and is removed at its end.

A lock whose process has ended is stale and taken over silently. Whether a process on another
machine has ended cannot be known here, so its lock is refused, and the message says what to delete.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import gethostname

from segdistill.errors import RunFolderError
from segdistill.files import inside, refuse_link, sweep
from segdistill.runs.layout import ADDED_TO, CHECKPOINTS, LOCK, WRITTEN_INTO


@dataclass(frozen=True)
class Writer:
    """A lock file, which describes the writing process.

    Attributes:
        pid: id of the process.
        host: name of its machine.
        began: start time of the process according to its system, because ids are reused.
        since: time at which it took the lock, UTC.
        command: its command line.
    """

    pid: int
    host: str
    began: str
    since: str
    command: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether it is a process of this machine that has ended."""
        return self.host == gethostname() and began_of(self.pid) != self.began


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make a folder if it does not exist, and be the only process that writes to it.

    Partly written files of a killed process are deleted. A folder that was made here and is still
    empty at the end is removed.

    Raises:
        RunFolderError: another process writes to it.
        OverwriteError, ValueError: a file or folder in it is a link to elsewhere.
    """
    for name in WRITTEN_INTO:
        inside(folder, name)
    for name in ADDED_TO:
        refuse_link(folder / name)
    existed = folder.exists()
    try:
        with hold(folder / LOCK, folder):
            sweep(folder)
            sweep(folder / CHECKPOINTS)
            yield
    finally:
        if not existed:
            remove_empty(folder)


@contextmanager
def hold(lock: Path, what: Path) -> Iterator[None]:
    """Hold a lock file for a block.

    Args:
        lock: the file.
        what: the folder or file that is written meanwhile.

    Raises:
        RunFolderError: another process holds it; the message names it and says what to do.
    """
    # Records need pydantic, whose import would slow down commands that lock nothing.
    from segdistill.runs.documents import write_tree

    lock.parent.mkdir(parents=True, exist_ok=True)
    own = _this_process()
    draft = lock.with_name(f".{lock.name}.{time.monotonic_ns()}.{own.pid}.tmp")
    write_tree(draft, asdict(own))
    try:
        with _alone(lock.parent):
            holder = _read(lock)
            if holder is not None and holder.is_gone:
                lock.unlink()
            try:
                _give_name(draft, lock)
            except FileExistsError:
                raise RunFolderError(_refusal(lock, what)) from None
    finally:
        draft.unlink()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _give_name(draft: Path, lock: Path) -> None:
    """Make a lock of a written file.

    Raises:
        FileExistsError: there is one.
        OSError: the file system cannot make files exclusively; the lock is named.
    """
    try:
        os.link(draft, lock)  # unlike a rename, fails if there is one, on NFS as well
    except FileExistsError:
        raise
    except OSError:  # no hard links, as on exFAT and some network drives
        with lock.open("xb") as out:
            out.write(draft.read_bytes())


def began_of(pid: int) -> str:
    """Return the start time of a process of this machine as its system reports it, or ""."""
    if Path("/proc/self/stat").exists():
        try:
            # The name, in brackets, may hold spaces; state is the 3rd field, the start the 22nd.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id")
        return "" if fields[0] in "ZX" else f"{boot.read_text().strip()} {fields[19]}"
    if sys.platform == "win32":
        return "running"  # the standard library cannot tell
    asked = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def _this_process() -> Writer:
    return Writer(
        pid=os.getpid(),
        host=gethostname(),
        began=began_of(os.getpid()),
        since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500] if sys.argv else "",
    )


def _read(lock: Path) -> Writer | None:
    from segdistill.runs.documents import read_document

    return read_document(lock, Writer) if lock.exists() else None


def _refusal(lock: Path, what: Path) -> str:
    holder = _read(lock)
    if holder is None:  # it has just ended
        return f"{what}: expected a folder that no other process uses, got one in use; try again"
    again = "wait for it, or choose another with --out"
    if holder.host != gethostname() or sys.platform == "win32":
        again += f"; if that process has ended, delete {lock}"
    return (
        f"{what}: expected a folder that no other process uses, got one in use by process "
        f"{holder.pid} on {holder.host} since {holder.since}; {again}"
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine from reading a lock while it is replaced."""
    try:
        import fcntl
    except ImportError:  # not available on this system
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # on a file system without locks, the link is still exclusive
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_empty(folder: Path) -> None:
    """Remove a folder if it exists and is empty."""
    with suppress(OSError):
        folder.rmdir()


def is_first_process() -> bool:
    """Return whether this is the process that writes, according to the launcher's environment."""
    variables = ("RANK", "LOCAL_RANK", "NODE_RANK")
    return all(os.environ.get(name, "0") == "0" for name in variables)


def claim_numbered(root: Path, stem: str) -> Path:
    """Make the folder ``root/stem-N`` with the next number, exclusively for this process."""
    root.mkdir(parents=True, exist_ok=True)
    number = newest_number(root, stem)
    while True:
        number += 1
        folder = root / f"{stem}-{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def newest_number(root: Path, stem: str) -> int:
    """Return the highest number of the folders ``root/stem-N``, 0 if there are none."""
    names = (re.fullmatch(rf"{re.escape(stem)}-(\d+)", path.name) for path in root.glob("*"))
    return max((int(name[1]) for name in names if name), default=0)
