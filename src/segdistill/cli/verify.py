"""``segdistill verify``: check a finished study against its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Json


def verify(
    folder: Annotated[Path, typer.Argument(help="A study folder.")],
    data: Annotated[
        bool, typer.Option("--data/--no-data", help="Read the images and look for leaks.")
    ] = True,
    json: Json = False,
) -> None:
    """Recompute a study's numbers and check that it was fair.

    Scores are recomputed from confusion matrices, statistics and tables from scores. Trials,
    settings, files, seeds, budgets, choices, environments and images are checked; times and the
    page are not. The exit code is 1 if there is a contradiction.

    Example: segdistill verify study
    """
    from segdistill.api.verify import verify as check
    from segdistill.cli.progress import display

    with display() as tell:
        faults = check(folder, data=data, tell=tell)
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps([asdict(fault) for fault in faults]))
    else:
        for fault in faults:
            print(f"{fault.check}: {fault.said}")
        count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        print(f"{folder}: {count if faults else 'all checks passed'}")
    if faults:
        raise typer.Exit(1)
