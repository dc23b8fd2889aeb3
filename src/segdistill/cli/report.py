"""``segdistill report``: one page from run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folders: Annotated[list[Path], typer.Argument(help="Run folders, or a folder of them.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File; report.html in the folder.")
    ] = None,
) -> None:
    """Write one self-contained HTML page that compares runs.

    Example: segdistill report runs/camvid-students
    """
    from segdistill.errors import RunFolderError
    from segdistill.report import write_report

    runs: list[Path] = []
    for folder in folders:
        inside = sorted(file.parent for file in folder.glob("**/result.json"))
        if not inside:
            raise RunFolderError(f"{folder}: expected a finished run in it, got none")
        runs += inside
    file = out or folders[0] / "report.html"
    write_report(runs, file, title=folders[0].resolve().name)
    print(f"{file} written, {len(runs)} runs; open it in a browser")
