"""The report of a study: the page, and its results as CSV and LaTeX next to it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from segdistill.files import claim, write_whole
from segdistill.reporting.material import Material
from segdistill.reporting.page import of_study, render
from segdistill.reporting.studies import Study, read_study
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
    write_whole(page, render(material, title=folder.resolve().name), made_by="report")
    for table, text in zip(tables, _tables(study, material), strict=True):
        write_whole(table, text, made_by="report")
    return files


def changed_tables(folder: Path) -> list[Path]:
    """Return the tables in the folder of a study that differ from what its runs say.

    The row of a teacher whose run is no longer there cannot be compared.
    """
    study = read_study(folder)
    changed = []
    for file, text in zip(report_files(folder)[1:], _tables(study, of_study(study)), strict=True):
        if file.exists():
            stored, again = file.read_text(encoding="utf-8").splitlines(), text.splitlines()
            if not any(map(_TEACHER.match, again)):
                stored = [line for line in stored if not _TEACHER.match(line)]
            if stored != again:
                changed.append(file)
    return changed


_TEACHER = re.compile(r"([^,&]*,)?teacher\b[^,&]*[,&]")


def _tables(study: Study, material: Material) -> list[str]:
    """Return the results of a study as CSV and LaTeX."""
    several = len(study.pairs) > 1
    failed = Counter(
        (failure.pair if several else "", failure.method) for failure in study.failures
    )
    return [
        results_csv(material.groups, failed, margin=material.margin),
        results_tex(material.groups),
    ]


def report_files(folder: Path, *, out: Path | None = None) -> list[Path]:
    """Return the files of :func:`write_study_report`: page, CSV, LaTeX."""
    page = out or folder / REPORT
    return [page, page.with_name(RESULTS_TABLE), page.with_name(RESULTS_LATEX)]
