"""Arguments and options shared by several commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segdistill.errors import ConfigError

if TYPE_CHECKING:
    from segdistill.config.loading import LoadedConfig

Config = Annotated[str, typer.Argument(help="A YAML file, or the name of a recipe.")]
Run = Annotated[Path, typer.Argument(help="A run folder, or a run's .safetensors file.")]
Model = Annotated[
    Path,
    typer.Argument(help="A run folder, a run's .safetensors file, or an exported file."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings to change, such as training.lr=0.02.", metavar="KEY=VALUE"),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/<recipe>-N.")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue an interrupted run; accept a finished one."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        help="Code named in files that you allow to run: import:package.module:function or "
        "file:PATH; repeatable.",
        metavar="TARGET",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Size = Annotated[str, typer.Option("--size", help="Height and width of the image, in pixels.")]


def trust_words(targets: Iterable[str] | None) -> list[str]:
    """Return the options that trust these targets, for a suggested command."""
    return [word for target in targets or () for word in ("--trust", target)]


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``512x1024`` into height and width.

    Raises:
        ConfigError: it does not have that form.
    """
    height, x, width = text.partition("x")
    if not (x and height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise ConfigError(f"--size: expected HEIGHTxWIDTH such as 512x1024, got '{text}'")
    return int(height), int(width)


def parse_latency(text: str) -> float:
    """Parse ``20ms`` into milliseconds.

    Raises:
        ConfigError: it does not have that form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*ms", text)
    if found is None or not float(found[1]):
        raise ConfigError(f"--latency: expected milliseconds such as 20ms, got '{text}'")
    return float(found[1])


def check_config(
    source: str, overrides: list[str] | None, trust: list[str] | None = None
) -> LoadedConfig:
    """Check a config before torch is loaded, so that mistakes are reported at once.

    Raises:
        ConfigError: the config cannot be run.
    """
    from segdistill.config.loading import load_config

    return load_config(source, overrides or (), trust=trust or ())
