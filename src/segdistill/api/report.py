"""Report: one page that compares runs, or a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdistill.errors import RunFolderError
from segdistill.reporting.page import write_report
from segdistill.reporting.study_page import write_study_report
from segdistill.runs.layout import REPORT
from segdistill.runs.result import find_results
from segdistill.runs.study import is_study


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        page: the HTML file, which needs no other and no network.
        tables: CSV and LaTeX of a study; none of runs.
        runs: how many are compared; 0 for a study, which counts its own.
        broken: why, for each run that cannot be read and was left out.
    """

    page: Path
    tables: tuple[Path, ...] = ()
    runs: int = 0
    broken: tuple[str, ...] = ()


def report(source: str | Path | Sequence[str | Path], out: str | Path | None = None) -> Report:
    """Write one HTML page that compares finished runs, or that says what a study found.

    Args:
        source: a study folder, a run folder, a folder of runs, or several of the latter two.
        out: the page; ``report.html`` in the first folder by default.

    Raises:
        RunFolderError: there is no finished run, or a study among other folders.
        OverwriteError: there is a file that no report wrote.
    """
    folders = [Path(name) for name in ([source] if isinstance(source, str | Path) else source)]
    page = None if out is None else Path(out)
    if any(is_study(folder) for folder in folders):
        if len(folders) > 1:
            raise RunFolderError(
                f"report: expected one study or run folders, got {len(folders)} folders with a "
                "study among them; report each by itself"
            )
        written, *tables = write_study_report(folders[0], out=page)
        return Report(written, tuple(tables))
    runs: dict[Path, Path] = {}
    for folder in folders:
        inside = find_results(folder)
        if not inside:
            raise RunFolderError(f"{folder}: expected a finished run in it, got none")
        runs |= {run.resolve(): run for run in inside}
    if not runs:
        raise RunFolderError("report: expected a study folder or run folders, got none")
    page = page or folders[0] / REPORT
    title = folders[0].resolve().name
    broken = write_report([*runs.values()], page, title=title, folder=folders[0])
    return Report(page, runs=len(runs) - len(broken), broken=tuple(broken.values()))
