"""``segdistill predict``: masks for image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("predictions"),
) -> None:
    """Write what the student of a run predicts, in its classes' colours.

    Example: segdistill predict runs/student-1 photos --out predictions
    """
    from segdistill import verbs

    written = verbs.predict(run, images, out)
    print(f"{len(written)} predictions written to {out}")
