"""``segdistill report``: one page from run folders or a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="A study folder, run folders, or a folder of them.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; by default report.html in the folder."),
    ] = None,
) -> None:
    """Write one HTML page that compares runs or presents a study.

    The page needs neither other files nor a network. A study's results are also written next to
    it, as results.csv and results.tex.

    Example: segdistill report runs/camvid-students
    """
    from segdistill.api.report import report as verb

    made = verb(folders, out)
    for why in made.broken:
        print(f"left out: {why}")
    if made.tables:
        names = " and ".join(file.name for file in made.tables)
        print(f"{made.page} written, {names} next to it; open it in a browser")
    elif not made.runs:
        print(f"{made.page} written; open it in a browser")
    else:
        print(f"{made.page} written, {made.runs} runs; open it in a browser")
