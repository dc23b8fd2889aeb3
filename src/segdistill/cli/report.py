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
    """Write one HTML page that compares runs.

    It needs no network and no other file.

    Example: segdistill report runs/camvid-students
    """
    from segdistill.errors import RunFolderError
    from segdistill.report import write_report

    runs: dict[Path, Path] = {}
    for folder in folders:
        inside = sorted(file.parent for file in folder.glob("**/result.json"))
        if not inside:
            raise RunFolderError(f"{folder}: expected a finished run in it, got none")
        runs |= {run.resolve(): run for run in inside}
    file = out or folders[0] / "report.html"
    write_report([*runs.values()], file, title=folders[0].resolve().name)
    print(f"{file} written, {len(runs)} runs; open it in a browser")
