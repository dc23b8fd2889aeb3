"""A self-contained HTML page that compares runs: its sections, and writing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from segdistill.files import claim, write_whole
from segdistill.reporting import words
from segdistill.reporting.groups import group
from segdistill.reporting.material import Material
from segdistill.reporting.runs import find_broken, read_runs
from segdistill.reporting.searches import of_search
from segdistill.reporting.sections import (
    analyses,
    chance,
    classes,
    costs,
    curves,
    extremes,
    failures,
    forest,
    mistakes,
    pareto,
    pictures,
    protocol,
    reproduce,
    results,
    search,
    shifts,
    students,
    verdict,
)
from segdistill.reporting.studies import Study, study_groups
from segdistill.runs.layout import REPORT
from segdistill.studies.verdict import points

Show = Callable[[Material], Mapping[str, Any] | None]
"""Returns the values for a section's template, None if the section has nothing to show."""

SECTIONS: Mapping[str, tuple[str, Show]] = {
    "verdict": ("Verdict", verdict.show),
    "students": ("Which student?", students.show),
    "failures": ("Failed runs", failures.show),
    "results": ("Results", results.show),
    "forest": ("Differences to plain", forest.show),
    "pareto": ("What a network costs to run", pareto.show),
    "pictures": ("Pictures", pictures.show),
    "extremes": ("Worst and best images", extremes.show),
    "shifts": ("Edges, calibration and shifts", shifts.show),
    "classes": ("IoU by class, %", classes.show),
    "curves": ("Training", curves.show),
    "search": ("Search", search.show),
    "chance": ("Where the chance lies", chance.show),
    "analyses": ("Analyses", analyses.show),
    "mistakes": ("What is taken for what", mistakes.show),
    "costs": ("What training cost", costs.show),
    "protocol": ("Protocol", protocol.show),
    "reproduce": ("How to reproduce", reproduce.show),
}
"""Sections in order: name, heading, and the function that fills ``sections/NAME.html``."""


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    title: str,
    notes: Sequence[str] = (),
    folder: Path | None = None,
) -> dict[Path, str]:
    """Write an HTML page that compares finished runs; it needs no network connection.

    The verdict follows from the results: a method is only called better if several paired seeds
    prove it. Charts, pictures, styles and the script are part of the page.

    Args:
        runs: run folders; teachers are shown first, the others in the given order. Runs that
            differ only in their seeds are grouped.
        out: file to write, replaced atomically.
        title: heading of the page.
        notes: sentences shown below the verdict.
        folder: folder with the files of ``segdistill analyse``, if there are any.

    Returns:
        The reason, by folder, for each broken run that was left out; it is also on the page.

    Raises:
        RunFolderError: there is no run, or all are broken.
        OverwriteError: the file exists and was not written by a report.
    """
    claim("report", [out])
    broken = find_broken(runs)
    whole = [run for run in runs if run not in broken]
    notes = [*notes, *(f"A run was left out. {why}" for why in broken.values())]
    material = Material(group(read_runs(whole)), notes=notes, folder=folder)
    write_whole(out, render(material, title=title), made_by="report")
    return broken


def write_search_report(folder: Path, *, out: Path | None = None) -> Path:
    """Write the page of a search of students, and return its file.

    Args:
        folder: folder written by ``segdistill search``.
        out: file to write; by default ``report.html`` in the folder.

    Raises:
        RunFolderError: the search has not ended, or a file is broken.
        OverwriteError: the file exists and was not written by a report.
    """
    page = out or folder / REPORT
    claim("report", [page])
    write_whole(page, render(of_search(folder), title=folder.resolve().name), made_by="report")
    return page


def of_study(study: Study) -> Material:
    """Return the material for the page of a study."""
    return Material(study_groups(study), study=study, folder=study.folder)


def render(material: Material, *, title: str) -> str:
    """Return the page of :func:`write_report`.

    Args:
        material: the runs to compare.
        title: heading of the page.
    """
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "number": words.number,
        "brief": words.brief,
        "breakable": words.breakable,
        "unbroken": words.unbroken,
        "points": points,
    }
    sections = []
    for name, (heading, show) in SECTIONS.items():
        shown = show(material)
        if shown is not None:
            body = environment.get_template(f"sections/{name}.html").render(shown)
            sections.append({"name": name, "heading": heading, "body": Markup(body)})
    page: str = environment.get_template("page.html").render(
        title=title,
        kind="study" if material.study else "search" if material.search else "report",
        facts=_facts(material),
        sections=sections,
    )
    return page


def _text(name: str) -> str:
    return files("segdistill.reporting").joinpath(name).read_text(encoding="utf-8")


def _facts(material: Material) -> list[str]:
    """Return short descriptions of what was scored, from the first student."""
    first = (material.students or material.groups)[0].runs[0]
    dataset = (first.settings.get("data") or {}).get("dataset")
    result = first.result
    facts = [str(dataset)] if dataset else []
    if len(material.panels) == 1:
        if result.images:
            facts.append(f"{result.images:,} {result.split} images")
        if result.pixels:
            facts.append(f"{_amount(result.pixels)} labelled pixels")
        facts.append(f"{len(result.iou)} classes")
    if first.environment.started:
        facts.append(first.environment.started[:10])
    return facts


def _amount(pixels: int) -> str:
    return f"{pixels / 1e6:.1f} million" if pixels >= 1_000_000 else f"{pixels:,}"
