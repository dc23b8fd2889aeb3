"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[str, typer.Argument(help="A YAML file, or the name of a recipe.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings to change, as in training.lr=0.02.", metavar="[KEY=VALUE]..."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; runs/<recipe>-N by default.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a run was interrupted.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``512x1024`` into height and width.

    Raises:
        ValueError: it is not of that form.
    """
    height, x, width = text.partition("x")
    if not (x and height.isdigit() and width.isdigit()):
        raise ValueError(f"--size: expected HEIGHTxWIDTH such as 512x1024, got '{text}'")
    return int(height), int(width)
