"""``segdistill replay``: repeat the step at which a run diverged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Json, Overrides, Trust

_SHOWN = 3  # modules and maps


def replay(
    run: Annotated[Path, typer.Argument(help="The folder of a run that diverged.")],
    overrides: Overrides = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Repeat the step at which a run diverged.

    Says where values first stop being finite.

    Example: segdistill replay runs/student-1 training.device=cpu
    """
    from segdistill.api.replay import replay as verb

    again = verb(run, overrides=overrides or (), trust=trust or ())
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps(asdict(again)))
        return
    print(f"step {again.step}: {again.error or 'every loss is finite on this machine'}")
    for name in again.first[:_SHOWN]:
        print(f"  first not finite: {name}")
