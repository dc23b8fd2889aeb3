"""``segdistill evaluate``: score the student of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from segdistill.cli.words import Json, Overrides, Run, Trust
from segdistill.errors import ConfigError


def evaluate(
    run: Run,
    overrides: Overrides = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the dataset; by default the run's own.")
    ] = None,
    scales: Annotated[
        str | None, typer.Option(help="Scales to average over, such as 0.5,1.0,1.5.")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Also average the mirrored image.")
    ] = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Score the student of a run on a split.

    Example: segdistill evaluate runs/student-1 --split val --scales 0.5,1.0,1.5 --flip
    """
    from json import dumps

    from segdistill.training.finished_run import check_run

    views = None if scales is None else _parse_scales(scales)
    checked = check_run(run, overrides or (), trust or ())
    from segdistill.api.evaluate import evaluate as verb
    from segdistill.cli.progress import display
    from segdistill.cli.results import print_results

    with display() as tell:
        result = verb(checked, split=split, scales=views, flip=flip, tell=tell)
    settings = checked.config.evaluation
    values = result.as_dict() | {
        "name": checked.files.name,
        "split": split or settings.split,
        "scales": list(views or settings.scales),
        "flip": settings.flip if flip is None else flip,
        "weights": str(checked.files.weights),
    }
    if json:
        print(dumps(values))
        return
    print_results([values | {"seconds": None}])
    print(f"{result.images} images of {values['split']} in {result.seconds:.1f} s")
    print(f"next: segdistill predict {run} IMAGES, or segdistill export {run}")


def _parse_scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"--scales: expected numbers such as 0.5,1.0,1.5, got '{text}'") from None
