"""Failures of commands: one line and an exit code instead of a traceback.

Expected errors say what to do. Unexpected ones are shown with their type, message, file and line;
``SEGDISTILL_DEBUG=1`` shows the traceback.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from segdistill.checks import nearest
from segdistill.errors import (
    ConfigError,
    OverwriteError,
    RunFolderError,
    SegdistillError,
    TrainingDivergedError,
)
from segdistill.files import expand_path
from segdistill.runs.lock import is_first_process
from segdistill.training.interrupts import interrupted_at_once

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
DEBUG = "SEGDISTILL_DEBUG"

# The class depends on the version of typer; in every version it is the base of this one.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]

_PACKAGE = Path(__file__).parents[1]
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))

_IN_ALL_ALIKE = (ConfigError, KeyboardInterrupt, TrainingDivergedError)
"""Errors that end every process of a run with the same message, shown by the first only."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_TRAINING = "lower data.batch_size or data.crop, or raise training.accumulate"
_SCORING = "set a sliding window, such as evaluation.window=[512,512]"
_SIZE = "give a smaller --size"
_LESS_MEMORY = {
    "train": _TRAINING,
    "distill": _TRAINING,
    "check": _TRAINING,
    "study": f"{_TRAINING}, or --processes",
    "search": f"{_TRAINING}, or search.cohort",
    "evaluate": _SCORING,
    "predict": _SCORING,
    "export": _SIZE,
    "bench cost": _SIZE,
    "bench latency": _SIZE,
    "list taps": "lower data.crop",
}
"""What to lower when memory runs out, by command."""


class Program(TyperGroup):
    """The command line; wrong commands and options are answered in one line."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except _UsageError as error:
            _answer(error)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            _answer(error)


def guarded(words: str, function: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose every failure is a message and an exit code.

    Args:
        words: words of the command, as typed.
        function: the command.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with interrupted_at_once():
                function(*args, **{word: _expanded(value) for word, value in kwargs.items()})
            sys.stdout.flush()  # here, so that a closed pipe is handled silently
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt as stopped:
            _stop(f"segdistill: {str(stopped) or 'interrupted'}", INTERRUPTED, stopped)
        except (Exception, SystemExit) as error:  # a user's code may exit, as argparse does
            if isinstance(error, BrokenPipeError) and _was_printing(error):
                raise  # as in `| head`; typer exits silently
            _stop(*explain(words, error), error)

    return run


def _expanded(value: Any) -> Any:
    """Return paths with ``~`` and ``$VAR`` filled in, as no shell does after ``--out=``."""
    if isinstance(value, list):
        return [_expanded(each) for each in value]
    return expand_path(value) if isinstance(value, Path) else value


def explain(words: str, error: Exception | SystemExit) -> tuple[str, int]:
    """Return the message for an exception, and the exit code.

    Args:
        words: words of the command that it ended.
        error: the exception.
    """
    if isinstance(error, ConfigError | OverwriteError | RunFolderError):
        return f"segdistill: {error}", WRONG_USE
    if isinstance(error, SegdistillError):
        return f"segdistill: {error}", FAILED
    message = _first_line(error)
    if _is_out_of_memory(error):
        less = _LESS_MEMORY.get(words, "close other programs")
        return f"segdistill {words}: out of memory ({message}); {less}", FAILED
    where = _origin(error if _is_refusal(error) else _first(error))
    what = f"{type(error).__name__}: {message}"
    if where is not None and not _is_ours(where):
        return (
            f"segdistill {words}: {what}\n"
            f"  {where.filename}:{where.lineno}, in {where.name}: {where.line}\n"
            f"  this code is not part of segdistill; {DEBUG}=1 shows the whole traceback"
        ), FAILED
    if isinstance(error, OSError | ImportError) or _is_refusal(error):
        return f"segdistill: {error}", FAILED
    place = "" if where is None else f" ({_short(where.filename)}:{where.lineno})"
    return (
        f"segdistill {words}: {what}{place}; this is a bug in segdistill: please report it with "
        f"the traceback that {DEBUG}=1 shows"
    ), FAILED


def _answer(error: Any) -> NoReturn:
    """Report a mistake in the command line, and exit."""
    if type(error).__name__ == "NoArgsIsHelpError":
        raise error  # shows the help
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    choice = re.search(r"'(?P<word>[^']*)' is not one of (?P<known>.*)", message)
    option = re.search(r"--[a-z-]+", message)
    if choice and option:
        known = re.findall(r"'([^']*)'", choice["known"])
        message = f"{option[0]}: there is no '{choice['word']}'; {nearest(choice['word'], known)}"
    words: list[str] = []
    context = error.ctx
    while context is not None and context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    help_of = " ".join(["segdistill", *words, "--help"])
    _stop(f"segdistill: {message}; see {help_of}", WRONG_USE, error)


def _stop(message: str, code: int, error: BaseException) -> NoReturn:
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)
    if is_first_process() or not isinstance(error, _IN_ALL_ALIKE):
        print(message, file=sys.stderr)
    raise typer.Exit(code) from None


def _was_printing(error: Exception) -> bool:
    """Return whether the pipe that broke was standard output, not one to a worker."""
    file = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return file.is_relative_to(_PACKAGE / "cli") or "rich" in file.parts


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)
    )


def _is_refusal(error: BaseException) -> bool:
    """Return whether it is one of our own checks: "who: expected X, got Y; do Z"."""
    return type(error) in (ValueError, TypeError) and "expected " in str(error)


def _first(error: BaseException) -> BaseException:
    """Return the original error, without those that only add whom it concerns."""
    before = error.__cause__ or error.__context__
    while before is not None and str(before) and str(error).endswith(str(before)):
        error, before = before, before.__cause__ or before.__context__
    return error


def _origin(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost frame outside of libraries, which the user can change."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame for frame in frames if not _is_library(frame)), None)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(_PACKAGE)


def _is_library(frame: traceback.FrameSummary) -> bool:
    file = Path(frame.filename)
    return not _is_ours(frame) and (
        not file.is_absolute()  # <frozen importlib._bootstrap>, <string>
        or file.is_relative_to(_STANDARD_LIBRARY)
        or not {"site-packages", "dist-packages"}.isdisjoint(file.parts)
    )


def _short(file: str) -> str:
    return Path(file).relative_to(_PACKAGE.parent).as_posix()


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
