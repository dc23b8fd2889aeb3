"""One case: a copy of the world, something wrong in it, a command, and what came of it."""

from __future__ import annotations

import shutil
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from typer.testing import CliRunner

from segdistill.cli import build_app

from . import judge, world
from .targets import Case, make, parts


class TookTooLongError(BaseException):
    """Not an Exception, so that no command answers it."""


def run_case(target: str, number: int, base: Path, place: Path) -> tuple[Case, judge.Outcome]:
    """Make a case in an empty place beside the world, run it in this process, and clean up."""
    copied = place / "world"
    world.copy(base, copied, parts(target, base))
    try:
        case = make(target, number, copied)
        return case, observe(case.words, copied, case.writes)
    finally:
        shutil.rmtree(copied)


def observe(words: Sequence[str], folder: Path, writes: str = "out") -> judge.Outcome:
    """Run a command in a folder, in this process, and see what it did there."""
    before, began = judge.listing(folder.parent), time.process_time()
    code: int | None = None
    out, err, crash = "", "", ""
    with world.within(folder):
        try:
            most = judge.MOST_SECONDS_OF_EXPORT if words[0] == "export" else judge.MOST_SECONDS
            with _limit(most):
                result = CliRunner().invoke(build_app(), list(words))
            code, out, err = result.exit_code, result.stdout, result.stderr
            error: Any = result.exception
            if error is not None and not isinstance(error, SystemExit):
                crash = "".join(traceback.format_exception(error)[-3:])
        except TookTooLongError as stopped:
            crash = "".join(traceback.format_tb(stopped.__traceback__)[-8:])
    seconds = time.process_time() - began
    after = judge.listing(folder.parent)
    allowed = (folder / writes).relative_to(folder.parent)
    return judge.Outcome(
        words,
        code,
        out,
        err,
        seconds,
        judge.strayed(before, after, allowed),
        judge.left(after),
        crash,
        most,
    )


@contextmanager
def _limit(most_seconds: int) -> Iterator[None]:
    """Stop what works for too long, and what waits for too long."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLongError

    before = [signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)]
    signal.setitimer(signal.ITIMER_PROF, most_seconds)
    signal.setitimer(signal.ITIMER_REAL, judge.MOST_CLOCK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGPROF, before[1])
