"""The command line: words in, one verb called, results on stdout, progress on stderr.

Only this package prints. No module here imports torch before a command runs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from segdistill.catalogue.commands import COMMANDS, GROUPS
from segdistill.catalogue.tables import load
from segdistill.errors import ConfigError, OverwriteError, RunFolderError, SegdistillError
from segdistill.training.interrupts import interrupted_at_once

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command line; the exit code is 0 done, 1 failed, 2 wrong use."""
    build_app()()


def build_app() -> typer.Typer:
    """Return the command line as a typer application."""
    app = _group("Distil a large segmentation network into a small one, and know if it helped.")
    app.callback()(_root)
    groups = {group: _group(about) for group, about in GROUPS.items()}
    for words, row in COMMANDS.items():
        group, _, name = words.rpartition(" ")
        function = load("segdistill.cli", row.target)
        (groups[group] if group else app).command(name)(_guarded(function))
    for group, sub in groups.items():
        app.add_typer(sub, name=group)
    return app


def _group(about: str) -> typer.Typer:
    return typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("segdistill"))
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Turn expected errors into one line and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with interrupted_at_once():
                function(*args, **kwargs)
        except BrokenPipeError:
            raise  # as in `| head`: typer ends it without a word
        except (ConfigError, OverwriteError, RunFolderError) as error:
            _stop(error, WRONG_USE)
        except (SegdistillError, ValueError, OSError, ImportError) as error:
            _stop(error, FAILED)
        except KeyboardInterrupt as stopped:
            print(f"segdistill: {str(stopped) or 'interrupted'}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return run


def _stop(error: Exception, code: int) -> None:
    print(f"segdistill: {error}", file=sys.stderr)
    raise typer.Exit(code) from None
