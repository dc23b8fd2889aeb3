"""The command line: words in, one verb called, results on stdout, progress on stderr.

Only this package prints. No module here imports torch before a command runs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from segdistill.cli import (
    bench,
    check,
    demo,
    distill,
    evaluate,
    listing,
    predict,
    recipes,
    report,
    train,
)
from segdistill.errors import ConfigError, RunFolderError, SegdistillError

WRONG_USE = 2
INTERRUPTED = 130

_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "train": train.train,
    "distill": distill.distill,
    "evaluate": evaluate.evaluate,
    "predict": predict.predict,
    "check": check.check,
    "report": report.report,
    "list": listing.listing,
}
_GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "recipes": {"list": recipes.list_recipes, "copy": recipes.copy_recipe},
    "bench": {"cost": bench.cost, "latency": bench.latency},
}


def main() -> None:
    """Run the command line; the exit code is 0 done, 1 failed, 2 wrong use."""
    build_app()()


def build_app() -> typer.Typer:
    """Return the command line as a typer application."""
    app = _group("Distil a large segmentation network into a small one, and know if it helped.")
    for name, function in _COMMANDS.items():
        app.command(name)(_guarded(function))
    for group, commands in _GROUPS.items():
        sub = _group(_GROUP_HELP[group])
        for name, function in commands.items():
            sub.command(name)(_guarded(function))
        app.add_typer(sub, name=group)
    return app


_GROUP_HELP = {
    "recipes": "Run files that ship with segdistill.",
    "bench": "What networks cost.",
}


def _group(about: str) -> typer.Typer:
    return typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Turn expected errors into one line and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except (ConfigError, RunFolderError) as error:
            _stop(error, WRONG_USE)
        except (SegdistillError, ValueError, OSError) as error:
            _stop(error, 1)
        except KeyboardInterrupt as stopped:
            print(f"segdistill: {stopped or 'interrupted'}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return run


def _stop(error: Exception, code: int) -> None:
    print(f"segdistill: {error}", file=sys.stderr)
    raise typer.Exit(code) from None
