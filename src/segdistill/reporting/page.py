"""One self-contained HTML page that compares runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from segdistill.files import claim, write_whole
from segdistill.reporting.analyses import analysis_figures
from segdistill.reporting.charts import loss_chart, miou_chart
from segdistill.reporting.classes import class_plots, class_rows
from segdistill.reporting.costs import CO2_KG_PER_KWH, cost, meters, sharing
from segdistill.reporting.extremes import extremes
from segdistill.reporting.findings import caution, sentences
from segdistill.reporting.forest import forest_plots
from segdistill.reporting.groups import Group, color_of, group, mean_ranks, panels
from segdistill.reporting.mistakes import matrix
from segdistill.reporting.pareto import pareto_plots
from segdistill.reporting.pictures import MOST_PICTURES, analysed_pictures, kept_pictures
from segdistill.reporting.references import bibtex, used
from segdistill.reporting.reproduce import commands, configs, environments
from segdistill.reporting.runs import Run, read_runs
from segdistill.studies.verdict import points


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    title: str,
    notes: Sequence[str] = (),
    folder: Path | None = None,
) -> None:
    """Write one HTML page that compares finished runs; it needs no network.

    The verdict is derived from the results: a method is called better only where several
    paired seeds prove it. Charts, pictures, styles and the script are inside the page.

    Args:
        runs: run folders; teachers are shown first, the others in the order given. Folders
            that differ by seed alone are gathered.
        out: the file, replaced whole.
        title: heading of the page.
        notes: sentences that the page shows under its verdict.
        folder: where ``segdistill analyse`` left its files, if it was called.

    Raises:
        RunFolderError: there is no run, or a folder holds no finished one.
        OverwriteError: there is a file that no report wrote.
    """
    claim("report", [out])
    groups = group(read_runs(runs))
    found = {} if folder is None else analysed(folder, groups)
    write_whole(out, render(groups, title=title, notes=notes, **found), made_by="report")


def render(
    groups: Sequence[Group],
    *,
    title: str,
    notes: Sequence[str] = (),
    **sections: Any,
) -> str:
    """Return the page of :func:`write_report`.

    Args:
        groups: what is compared.
        title: heading of the page.
        notes: sentences under the verdict.
        sections: what a study adds or says otherwise, see
            :func:`segdistill.reporting.study_page.sections`.
    """
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "points": points}
    environment.filters["brief"] = _brief
    environment.filters |= {"breakable": _breakable, "unbroken": _unbroken}
    parts = _of_any(groups) | {"study": None, "analyses": []} | sections
    page: str = environment.get_template("page.html").render(
        title=title, notes=list(notes), **parts
    )
    return page


def _of_any(groups: Sequence[Group]) -> dict[str, Any]:
    """Return what every report shows, with or without a study."""
    runs = [run for one in groups for run in one.runs]
    pairs = panels(groups)
    charts = [
        chart
        for pair in pairs
        for draw in (loss_chart, miou_chart)
        if (chart := draw(groups, pair or None)) is not None
    ]
    return {
        "verdict": [sentence for members in pairs.values() for sentence in sentences(members)],
        "caution": caution(groups),
        "facts": _facts(runs),
        "tables": [_table(pair, members, groups) for pair, members in pairs.items()],
        "rows": [_row(run, one, groups) for one in groups for run in one.runs],
        "groups": [{"group": one, "color": color_of(one, groups)} for one in groups],
        "several": any(len(one.runs) > 1 for one in groups),
        "absent": sorted({n for run in runs for n in run.result.get("absent_classes", [])}),
        "cost_size": next((r.result["cost_size"] for r in runs if r.result.get("cost_size")), None),
        "compared": [one for one in groups if one.comparison is not None],
        "least": sorted({f"{c.smallest_p:.2g}" for one in groups if (c := one.comparison)}),
        "forests": forest_plots(groups),
        "paretos": pareto_plots(groups),
        "charts": charts,
        "pictures": kept_pictures(groups),
        "extremes": extremes(groups),
        "colors": {one.label: color_of(one, groups) for one in groups},
        "classes": class_rows(groups),
        "class_plots": class_plots(groups),
        "matrices": [found for one in groups if (found := matrix(one)) is not None],
        "costs": [cost(one, color_of(one, groups)) for one in groups] if len(runs) > 1 else [],
        "sharing": sharing(runs),
        "metered": meters(runs),
        "co2_per_kwh": CO2_KG_PER_KWH,
        "commands": commands(runs),
        "configs": [configs(one) for one in groups],
        "environments": environments(runs),
        "details": runs,
        "bibtex": bibtex([*used(runs), "study"]),
    }


def analysed(folder: Path, groups: Sequence[Group]) -> dict[str, Any]:
    """Return figures and pictures of the analyses in a folder, none where nothing was analysed."""
    found = analysed_pictures(folder / "analyses", groups)
    names = {picture.name for picture in found}
    kept = [picture for picture in kept_pictures(groups) if picture.name not in names]
    colors = {one.name: color_of(one, groups) for one in groups}
    return {
        "analyses": analysis_figures(folder, colors=colors),
        "pictures": [*found, *kept][:MOST_PICTURES],
    }


def _text(name: str) -> str:
    return files("segdistill.reporting").joinpath(name).read_text(encoding="utf-8")


def _facts(runs: Sequence[Run]) -> list[str]:
    """Return what was scored, from the first run, in a few words each."""
    first = runs[0]
    data = first.settings.get("data") or {}
    result = first.result
    found = [str(data["dataset"])] if data.get("dataset") else []
    found.append(f"{result['images']:,} {result.get('split', '')} images".replace("  ", " "))
    if result.get("pixels"):
        found.append(f"{_amount(result['pixels'])} labelled pixels")
    found.append(f"{len(result['iou'])} classes")
    if str(first.environment.get("started", "")):
        found.append(str(first.environment["started"])[:10])
    return found


def _row(run: Run, own: Group, groups: Sequence[Group]) -> dict[str, Any]:
    result = run.result
    base = next((other for other in groups if other.label == own.baseline), None)
    twin = base.scores.get(run.seeds) if base else None
    best = result.get("best") or {}
    return {
        "run": run,
        "color": color_of(own, groups),
        "miou": result["miou"],
        "change": None if twin is None else result["miou"] - twin,
        "best": best.get("miou"),
        "accuracy": result.get("pixel_accuracy"),
        "params_m": result.get("params_m"),
        "gflops": result.get("gflops"),
        "latency_ms": result.get("latency_ms"),
        "seconds": result.get("seconds"),
    }


def _table(pair: str, members: Sequence[Group], groups: Sequence[Group]) -> dict[str, Any]:
    """Return the summary of a pair: a row a group, means over seeds."""
    ranks: Mapping[str, float] = mean_ranks(members)
    rows = [
        {"group": one, "color": color_of(one, groups), "rank": ranks.get(one.label)}
        for one in members
    ]
    return {"pair": pair, "rows": rows}


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _amount(pixels: int) -> str:
    return f"{pixels / 1e6:.1f} million" if pixels >= 1_000_000 else f"{pixels:,}"


def _brief(value: float | None) -> str:
    """Return a number with three digits that count, or all before the point."""
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _breakable(name: str) -> Markup:
    """Let a long name break after its separators on a narrow screen."""
    return Markup(re.sub(r"([_+/])", r"\1<wbr>", str(escape(name))))


def _unbroken(sentence: str) -> str:
    """Keep an equation and a number with its unit on one line."""
    return re.sub(r" (?==)|(?<==) |(?<=\d) (?=%|seeds|mIoU)", "\u00a0", sentence)
