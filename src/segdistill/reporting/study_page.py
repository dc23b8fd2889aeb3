"""The report of a study: the page, and its results as CSV and LaTeX next to it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from segdistill.files import claim, write_whole
from segdistill.reporting.page import of_study, render
from segdistill.reporting.studies import read_study
from segdistill.reporting.tables import results_csv, results_tex
from segdistill.runs.layout import REPORT, RESULTS_LATEX, RESULTS_TABLE


def write_study_report(folder: Path, *, out: Path | None = None) -> list[Path]:
    """Write the page of a study, finished or not, and its tables next to it.

    Args:
        folder: folder written by ``segdistill study``.
        out: file to write; by default ``report.html`` in the folder. ``results.csv`` and
            ``results.tex`` are written next to it.

    Returns:
        The three files.

    Raises:
        RunFolderError: no final run has finished.
        OverwriteError: one of these files exists and was not written by a report.
    """
    page, *tables = files = report_files(folder, out=out)
    claim("report", files)
    study = read_study(folder)
    material = of_study(study)
    several = len(study.pairs) > 1
    failed = Counter(
        (failure.pair if several else "", failure.method) for failure in study.failures
    )
    write_whole(page, render(material, title=folder.resolve().name), made_by="report")
    write_whole(
        tables[0], results_csv(material.groups, failed, margin=material.margin), made_by="report"
    )
    write_whole(tables[1], results_tex(material.groups), made_by="report")
    return files


def report_files(folder: Path, *, out: Path | None = None) -> list[Path]:
    """Return the files of :func:`write_study_report`: page, CSV, LaTeX."""
    page = out or folder / REPORT
    return [page, page.with_name(RESULTS_TABLE), page.with_name(RESULTS_LATEX)]
