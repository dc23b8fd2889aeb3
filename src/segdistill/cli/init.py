"""``segdistill init``: a config for a folder of images and masks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Json


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of images and masks.")],
    out: Annotated[Path, typer.Option("--out", help="Config to write.")] = Path("config.yaml"),
    json: Json = False,
) -> None:
    """Look at a folder of images and masks, and write a config for it.

    There are no questions, and nothing in the folder is changed. For an annotation tool's export,
    the command that converts it is shown.

    Example: segdistill init photos --out photos.yaml
    """
    from segdistill.api.init import init as verb

    proposal = verb(folder, out)
    if json:
        from json import dumps

        print(dumps({"files": list(map(str, proposal.files)), "found": proposal.found}))
        return
    for line in proposal.found:
        print(line)
    print(f"{', '.join(map(str, proposal.files))} written")
    print(f"next: {shlex.join(['segdistill', 'check', str(out), 'teacher.untrained=true'])}")
