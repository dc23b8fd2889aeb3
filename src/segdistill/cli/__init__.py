"""The command line: words in, one verb called, results on stdout, progress on stderr.

Only this package prints. No module here imports torch before a command runs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from segdistill.cli import (
    analyse,
    bench,
    check,
    convert,
    demo,
    distill,
    evaluate,
    export,
    init,
    listing,
    pack,
    predict,
    recipes,
    report,
    study,
    train,
)
from segdistill.errors import ConfigError, OverwriteError, RunFolderError, SegdistillError

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130

_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "train": train.train,
    "distill": distill.distill,
    "evaluate": evaluate.evaluate,
    "predict": predict.predict,
    "study": study.study,
    "analyse": analyse.analyse,
    "report": report.report,
    "export": export.export,
    "init": init.init,
    "convert": convert.convert,
    "check": check.check,
    "pack": pack.pack,
}
_GROUPS: dict[str, tuple[str, Mapping[str, Callable[..., None]]]] = {
    "bench": ("What networks cost.", {"cost": bench.cost, "latency": bench.latency}),
    "list": (
        "What a config may name.",
        {
            "losses": listing.losses,
            "networks": listing.networks,
            "backbones": listing.backbones,
            "heads": listing.heads,
            "datasets": listing.datasets,
            "formats": listing.formats,
            "taps": listing.taps,
        },
    ),
    "recipes": (
        "Run files that ship with segdistill.",
        {"list": recipes.list_recipes, "copy": recipes.copy_recipe},
    ),
}


def main() -> None:
    """Run the command line; the exit code is 0 done, 1 failed, 2 wrong use."""
    build_app()()


def build_app() -> typer.Typer:
    """Return the command line as a typer application."""
    app = _group("Distil a large segmentation network into a small one, and know if it helped.")
    app.callback()(_root)
    for name, function in _COMMANDS.items():
        app.command(name)(_guarded(function))
    for group, (about, commands) in _GROUPS.items():
        sub = _group(about)
        for name, function in commands.items():
            sub.command(name)(_guarded(function))
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
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Its number.")
    ] = False,
) -> None:
    """Answer what concerns no command."""


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Turn expected errors into one line and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
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
