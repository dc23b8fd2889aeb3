"""Report: one page that compares runs or presents a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.errors import RunFolderError
from segdistill.files import real_path
from segdistill.reporting.page import write_report, write_search_report
from segdistill.reporting.study_page import write_study_report
from segdistill.runs.layout import REPORT
from segdistill.runs.result import find_results
from segdistill.runs.students import is_search
from segdistill.runs.study import is_study


@dataclass(frozen=True)
class Report:
    """The files that a report consists of.

    Attributes:
        page: the HTML file, which needs neither other files nor a network connection.
        tables: CSV and LaTeX files of a study; empty for runs.
        runs: number of runs compared; 0 for a study or a search.
        broken: the reason for each run that cannot be read and was left out.
    """

    page: Path
    tables: tuple[Path, ...] = ()
    runs: int = 0
    broken: tuple[str, ...] = ()


def report(source: str | Path | Sequence[str | Path], out: str | Path | None = None) -> Report:
    """Write one HTML page that compares finished runs or presents the results of a study.

    Example::

        segdistill.report(["runs/plain", "runs/kl"], "report.html").page

    Args:
        source: the folder of a study or of a search, or one or more run folders or folders of runs.
        out: file to write; by default ``report.html`` in the first folder.

    Raises:
        RunFolderError: there is no finished run, or several folders include a study.
        OverwriteError: the file exists and was not written by report.
    """
    folders = [Path(name) for name in ([source] if isinstance(source, str | Path) else source)]
    page = None if out is None else Path(out)
    if any(is_study(folder) for folder in folders):
        if len(folders) > 1:
            raise RunFolderError(
                f"report: expected one study or several run folders, got {len(folders)} folders "
                "including a study; report them separately"
            )
        written, *tables = write_study_report(folders[0], out=page)
        return Report(written, tuple(tables))
    if len(folders) == 1 and is_search(folders[0]):
        return Report(write_search_report(folders[0], out=page))
    runs: dict[Path, Path] = {}
    for folder in folders:
        inside = find_results(folder)
        if not inside:
            raise RunFolderError(f"{folder}: expected a finished run in it, got none")
        runs |= {real_path(run): run for run in inside}
    if not runs:
        raise RunFolderError("report: expected a study folder or run folders, got none")
    page = page or folders[0] / REPORT
    title = real_path(folders[0]).name
    broken = write_report([*runs.values()], page, title=title, folder=folders[0])
    return Report(page, runs=len(runs) - len(broken), broken=tuple(broken.values()))
