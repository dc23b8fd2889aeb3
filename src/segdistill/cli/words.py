"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segdistill.errors import ConfigError

if TYPE_CHECKING:
    from segdistill.config.loading import LoadedConfig

Config = Annotated[str, typer.Argument(help="A YAML file, or the name of a recipe.")]
Run = Annotated[Path, typer.Argument(help="A run folder, or a .safetensors file that a run wrote.")]
Model = Annotated[
    Path,
    typer.Argument(help="A run folder, a .safetensors file that a run wrote, or an exported file."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings to change, as in training.lr=0.02.", metavar="KEY=VALUE"),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; runs/<recipe>-N by default.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on where a run was interrupted; take a finished one as it is."
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        help="Code that a file names and you allow: import:package.module:function or file:PATH; "
        "may be given several times.",
        metavar="TARGET",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Size = Annotated[str, typer.Option("--size", help="Height and width of the image, in pixels.")]


def trust_words(targets: Iterable[str] | None) -> list[str]:
    """Return the words that trust these targets, for a command to type next."""
    return [word for target in targets or () for word in ("--trust", target)]


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``512x1024`` into height and width.

    Raises:
        ConfigError: it is not of that form.
    """
    height, x, width = text.partition("x")
    if not (x and height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise ConfigError(f"--size: expected HEIGHTxWIDTH such as 512x1024, got '{text}'")
    return int(height), int(width)


def check_config(
    source: str, overrides: list[str] | None, trust: list[str] | None = None
) -> LoadedConfig:
    """Answer a mistake in a config before torch is loaded, and return what was checked.

    Raises:
        ConfigError: the config cannot be run.
    """
    from segdistill.config.loading import load_config

    return load_config(source, overrides or (), trust=trust or ())
