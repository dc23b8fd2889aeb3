"""``segdistill evaluate``: score the student of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Json, Overrides


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    overrides: Overrides = None,
    split: Annotated[str | None, typer.Option(help="Split of the run's dataset.")] = None,
    scales: Annotated[str | None, typer.Option(help="Scales to average, as 0.5,1.0,1.5.")] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Average mirrored.")] = None,
    json: Json = False,
) -> None:
    """Score the student of a run folder on a split.

    Example: segdistill evaluate runs/student-1 --split val --scales 0.5,1.0,1.5 --flip
    """
    from json import dumps

    from segdistill import verbs
    from segdistill.cli.results import table

    result = verbs.evaluate(
        run,
        split=split,
        scales=None if scales is None else _parse_scales(scales),
        flip=flip,
        overrides=overrides or (),
    )
    values = result.as_dict() | {"name": run.name}
    print(dumps(values) if json else table([values]))


def _parse_scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"--scales: expected numbers such as 0.5,1.0,1.5, got '{text}'") from None
