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
        Path | None, typer.Option("--out", help="File; report.html in the folder.")
    ] = None,
) -> None:
    """Write one HTML page that compares runs, or a study.

    It needs no network and no other file. A study's results are also written next to it, as
    results.csv and results.tex.

    Example: segdistill report runs/camvid-students
    """
    from segdistill.errors import RunFolderError
    from segdistill.reporting.page import write_report
    from segdistill.reporting.study_page import write_study_report
    from segdistill.runs.layout import REPORT
    from segdistill.runs.result import find_results
    from segdistill.runs.study import is_study

    if any(is_study(folder) for folder in folders):
        if len(folders) > 1:
            raise RunFolderError(
                f"report: expected one study or run folders, got {len(folders)} folders with a "
                "study among them; report each by itself"
            )
        page, *tables = write_study_report(folders[0], out=out)
        names = " and ".join(file.name for file in tables)
        print(f"{page} written, {names} next to it; open it in a browser")
        return
    runs: dict[Path, Path] = {}
    for folder in folders:
        inside = find_results(folder)
        if not inside:
            raise RunFolderError(f"{folder}: expected a finished run in it, got none")
        runs |= {run.resolve(): run for run in inside}
    file = out or folders[0] / REPORT
    title = folders[0].resolve().name
    write_report([*runs.values()], file, title=title, folder=folders[0])
    print(f"{file} written, {len(runs)} runs; open it in a browser")
