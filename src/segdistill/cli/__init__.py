"""The command line: each command calls one function; results on stdout, progress on stderr.

Only this package prints. No module here imports torch before a command runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from segdistill.catalogue.commands import COMMANDS, GROUPS, target
from segdistill.catalogue.tables import load
from segdistill.cli.failures import Program, guarded


def main() -> None:
    """Run the command line; exit codes: 0 success, 1 failure, 2 wrong use, 130 interrupted."""
    build_app()()


def build_app() -> typer.Typer:
    """Return the command line as a typer application."""
    app = typer.Typer(
        cls=Program,
        name="segdistill",
        help="Distil a large segmentation network into a small one, and know if it helped.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    groups = {
        group: typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
        for group, about in GROUPS.items()
    }
    for words in COMMANDS:
        group, _, name = words.rpartition(" ")
        function = load("segdistill.cli", target(words))
        (groups[group] if group else app).command(name)(guarded(words, function))
    for group, commands in groups.items():
        app.add_typer(commands, name=group)
    return app


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
    """Handle the options that belong to no command."""
