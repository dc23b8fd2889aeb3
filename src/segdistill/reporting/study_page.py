"""The report of a study: the page and, beside it, its results as CSV and LaTeX."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segdistill.files import claim, write_whole
from segdistill.reporting.costs import Sharing
from segdistill.reporting.groups import Group
from segdistill.reporting.history import best_trial, search_plots, setting, sweep_plots
from segdistill.reporting.page import analysed, render
from segdistill.reporting.protocol import protocol
from segdistill.reporting.references import bibtex, used
from segdistill.reporting.reproduce import recorded
from segdistill.reporting.studies import Study, read_study, study_groups
from segdistill.reporting.tables import results_csv, results_tex


def write_study_report(folder: Path, *, out: Path | None = None) -> list[Path]:
    """Write the page of a study, finished or not, and its tables beside it.

    Args:
        folder: made by ``segdistill study``.
        out: the page; ``report.html`` in the folder. ``results.csv`` and ``results.tex`` are
            written next to it.

    Returns:
        The three files.

    Raises:
        RunFolderError: no final run has finished.
        OverwriteError: there is one of these files that no report wrote.
    """
    page, *tables = files = report_files(folder, out=out)
    claim("report", files)
    study = read_study(folder)
    groups = study_groups(study)
    several = len(study.pairs) > 1
    failed = Counter((one.pair if several else "", one.method) for one in study.failures)
    text = render(groups, title=folder.resolve().name, **sections(study, groups))
    write_whole(page, text, made_by="report")
    write_whole(tables[0], results_csv(groups, failed=failed), made_by="report")
    write_whole(tables[1], results_tex(groups), made_by="report")
    return files


def report_files(folder: Path, *, out: Path | None = None) -> list[Path]:
    """Return the files of :func:`write_study_report`: page, CSV, LaTeX."""
    page = out or folder / "report.html"
    return [page, page.with_name("results.csv"), page.with_name("results.tex")]


def sections(study: Study, groups: Sequence[Group]) -> dict[str, Any]:
    """Return what the page of a study shows beside the comparison of its runs."""
    runs = study.runs
    shown = shlex.quote(str(study.folder))
    found = {
        "study": study,
        "flattered": _flattered(study),
        "chosen": _chosen(study),
        "search": search_plots(study, groups),
        "sweeps": sweep_plots(study, groups),
        "trials": _trials(study),
        "protocol": protocol(study, groups),
        "commands": [
            *recorded(runs),
            f"segdistill study {shown}/study.yaml --out {shown}-again",
            f"segdistill report {shown}",
        ],
        "bibtex": bibtex([*used(runs), "study", *(["search"] if study.trials else [])]),
    }
    cost = study.results.get("cost")
    if cost:
        sums = (float(cost[f"{key}_seconds"]) for key in ("together", "apart", "parts"))
        found["sharing"] = Sharing(len(runs) - len(study.teachers), *sums)
    return found | analysed(study.folder, groups)


def _flattered(study: Study) -> list[str]:
    """Return a sentence for each method some of whose final runs failed."""
    counts = Counter((one.pair, one.method) for one in study.failures)
    found = []
    for (pair, method), failed in counts.items():
        finished = len(study.students.get(pair, {}).get(method, ()))
        of = f" of {pair}" if len(study.pairs) > 1 else ""
        found.append(
            f"{failed} of {failed + finished} final runs of {method}{of} failed. "
            + (
                "What is said about it holds for the seeds that it survived."
                if finished
                else "Nothing can be said about it."
            )
        )
    return found


def _chosen(study: Study) -> list[dict[str, Any]]:
    """Return what the search chose for each method of each pair."""
    return [
        {
            "pair": pair,
            "method": method,
            "params": _params(study, method, one.get("params") or {}),
            "trial": one.get("trial"),
            "miou": one.get("miou"),
        }
        for pair, methods in study.chosen.items()
        for method, one in methods.items()
    ]


def _trials(study: Study) -> list[dict[str, Any]]:
    """Return a row a trial, what was searched in words."""
    return [
        {
            "trial": one,
            "params": _params(study, one["method"], one["params"]),
            "chosen": best_trial(study, one["pair"], one["method"]) == one["trial"],
        }
        for one in study.trials
    ]


def _params(study: Study, method: str, params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{setting(study, method, key)} {f'{value:.4g}' if isinstance(value, float) else value}"
        for key, value in params.items()
    )
