"""What a command may do with a wrong input: succeed, or say in one message what is wrong."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_SECONDS = 30
"""Of processor time: a machine that is busy with other programs makes nothing hang."""

MOST_SECONDS_OF_EXPORT = 120
"""Tracing, converting and comparing the small world's network takes 30 s on a busy machine."""

MOST_CLOCK_SECONDS = 600
"""By the clock, for what waits without working."""

MOST_CHARACTERS = 3_000  # of a message; ten faults of data are listed in one
_PROGRESS = ("training ", "preparing ", "evaluating ", "predicting ", "checking ", "packing ")


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        words: of the command.
        code: its exit code; None where it did not end by itself.
        out, err: what it printed.
        seconds: of processor time that it took.
        strayed: files that it wrote where it was not told to.
        left: temporary files and locks that it left.
        crash: an exception that came through, in words.
        most_seconds: of processor time that it may take.
    """

    words: Sequence[str]
    code: int | None
    out: str
    err: str
    seconds: float
    strayed: Sequence[str] = ()
    left: Sequence[str] = ()
    crash: str = ""
    most_seconds: int = MOST_SECONDS

    @property
    def command(self) -> str:
        """The command, to be typed."""
        return shlex.join(["segdistill", *self.words])


def faults(outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome, nothing where the command behaved."""
    found = []
    if outcome.code is None or outcome.seconds > outcome.most_seconds:
        found.append(f"took {outcome.seconds:.0f} s")
    elif outcome.code not in (0, 1, 2):
        found.append(f"exit code {outcome.code}")
    if outcome.crash or "Traceback (most recent call last)" in outcome.err:
        found.append(f"traceback {outcome.crash}".strip())
    if "this is a bug in segdistill" in outcome.err:
        found.append("only the last net caught it")
    if "this code is not part of segdistill" in outcome.err:
        found.append("blamed somebody's code")
    message = said(outcome.err)
    if outcome.code and not (outcome.err + outcome.out).strip():
        found.append("says nothing")
    if outcome.code and len(message) > MOST_CHARACTERS:
        found.append(f"a message of {len(message)} characters")
    if outcome.strayed:
        found.append(f"wrote {', '.join(outcome.strayed[:3])}")
    if outcome.left:
        found.append(f"left {', '.join(outcome.left[:3])}")
    return found


def said(err: str) -> str:
    """Return the last message of what a command printed on stderr, its lists included."""
    start = err.rfind("segdistill")
    while start > 0 and err[start - 1] != "\n":
        start = err.rfind("segdistill", 0, start)
    return err[start:].strip() if start >= 0 else ""


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file below a folder."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            file = Path(folder, name)
            status = file.lstat()
            found[str(file.relative_to(root))] = status.st_size, status.st_mtime_ns
    return found


def strayed(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], writes: Path
) -> list[str]:
    """Return the files that were written, or are gone, outside of a folder."""
    changed = {name for name, state in after.items() if before.get(name) != state}
    gone = before.keys() - after.keys()
    return sorted(name for name in changed | gone if not Path(name).is_relative_to(writes))


def left(after: dict[str, tuple[int, int]]) -> list[str]:
    """Return temporary files and locks."""
    ends = (".tmp", ".writing.lock", ".partial")
    return sorted(name for name in after if name.endswith(ends))
