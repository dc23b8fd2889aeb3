"""One self-contained HTML page that compares runs."""

from __future__ import annotations

import base64
import math
import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from segdistill.files import write_whole
from segdistill.report.charts import color_of, loss_chart, miou_chart
from segdistill.report.findings import Group, caution, group, sentences
from segdistill.report.plots import row_shares
from segdistill.report.runs import Run, read_runs
from segdistill.study.verdict import points

_TEMPLATES = ("page.html", "style.html", "script.html")
_MOST_PICTURES = 12  # about 60 kB each
_MOST_CLASSES = 24  # of a confusion matrix that still fits a page
_MISTAKES = 8
_MEDIA = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


def write_report(runs: Sequence[Path], out: Path, *, title: str, notes: Sequence[str] = ()) -> None:
    """Write one HTML page that compares finished runs; it needs no network.

    The verdict is derived from the results: a method is called better only where several
    paired seeds prove it. Charts, pictures, styles and the script are inside the page.

    Args:
        runs: run folders; teachers are shown first, the others in the order given. Folders
            that differ by seed alone are gathered.
        out: the file, replaced whole.
        title: heading of the page.
        notes: sentences that the page shows under its verdict.

    Raises:
        RunFolderError: there is no run, or a folder holds no finished one.
    """
    write_whole(out, render(read_runs(runs), title=title, notes=notes))


def render(runs: Sequence[Run], *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the page of :func:`write_report` for runs that were read."""
    groups = group(runs)
    environment = Environment(
        loader=DictLoader({name: _text(name) for name in _TEMPLATES}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "points": points}
    environment.filters |= {"breakable": _breakable, "unbroken": _unbroken}
    page: str = environment.get_template("page.html").render(
        title=title,
        notes=list(notes),
        verdict=sentences(groups),
        caution=caution(groups),
        facts=_facts(runs),
        rows=[_row(run, one, groups) for one in groups for run in one.runs],
        groups=[_summary(one, groups) for one in groups],
        several=any(len(one.runs) > 1 for one in groups),
        absent=sorted({name for run in runs for name in run.result.get("absent_classes", [])}),
        cost_size=next((r.result["cost_size"] for r in runs if r.result.get("cost_size")), None),
        classes=_classes(groups),
        compared=[one for one in groups if one.comparison is not None],
        charts=[chart for chart in (loss_chart(groups), miou_chart(groups)) if chart],
        pictures=_pictures(groups),
        matrices=[matrix for run in runs if (matrix := _matrix(run)) is not None],
        runs=runs,
        commands=_commands(runs),
    )
    return page


def _text(name: str) -> str:
    return files("segdistill.report").joinpath(name).read_text(encoding="utf-8")


def _facts(runs: Sequence[Run]) -> list[str]:
    """Return what was scored, from the first run, in a few words each."""
    first = runs[0]
    data = first.settings.get("data") or {}
    result = first.result
    found = [str(data["dataset"])] if data.get("dataset") else []
    found.append(f"{result['images']:,} {result.get('split', '')} images".replace("  ", " "))
    if result.get("pixels"):
        found.append(f"{result['pixels'] / 1e6:.1f} million labelled pixels")
    found.append(f"{len(result['iou'])} classes")
    if str(first.environment.get("started", "")):
        found.append(str(first.environment["started"])[:10])
    return found


def _row(run: Run, own: Group, groups: Sequence[Group]) -> dict[str, Any]:
    result = run.result
    base = next((other for other in groups if other.label == own.baseline), None)
    twin = next((r for r in base.runs if r.seeds == run.seeds), None) if base else None
    return {
        "run": run,
        "color": color_of(own, groups),
        "miou": result["miou"],
        "change": None if twin is None else result["miou"] - twin.result["miou"],
        "accuracy": result.get("pixel_accuracy"),
        "params_m": result.get("params_m"),
        "gflops": result.get("gflops"),
        "latency_ms": result.get("latency_ms"),
        "seconds": result.get("seconds"),
        "miou_truth": result.get("miou_ground_truth_classes"),
    }


def _summary(own: Group, groups: Sequence[Group]) -> dict[str, Any]:
    scores = [run.result["miou"] for run in own.runs]
    mean = math.fsum(scores) / len(scores)
    spread = None
    if len(scores) > 1:
        spread = math.sqrt(math.fsum((x - mean) ** 2 for x in scores) / (len(scores) - 1))
    return {"group": own, "color": color_of(own, groups), "mean": mean, "spread": spread}


def _classes(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return a row a class: its colour, each group's IoU and its change to the baseline."""
    result = groups[0].runs[0].result
    by_label = {one.label: one for one in groups}
    rows = []
    for name in result["iou"]:
        cells = []
        for one in groups:
            value, change = one.iou(name), None
            if one.baseline is not None:
                base = by_label[one.baseline].iou(name)
                change = None if value is None or base is None else value - base
            cells.append({"value": value, "change": change})
        color = result.get("colors", {}).get(name)
        rows.append(
            {"name": name, "color": color and "#{:02x}{:02x}{:02x}".format(*color)}
            | {"cells": cells}
        )
    largest = max((abs(c["change"]) for r in rows for c in r["cells"] if c["change"]), default=1)
    for row in rows:
        for cell in row["cells"]:
            cell["width"] = 50 * abs(cell["change"] or 0) / largest
    return rows


def _pictures(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return each picture's layers: input, truth, then a prediction of each group."""
    firsts = [(one.label, one.runs[0].pictures) for one in groups]
    names = list(dict.fromkeys(name for _, pictures in firsts for name in pictures))
    found = []
    for name in names[:_MOST_PICTURES]:
        layers = []
        for kind in ("input", "truth"):
            file = next((p[name][kind] for _, p in firsts if kind in p.get(name, {})), None)
            if file is not None:
                layers.append({"kind": kind, "label": kind, "source": data_uri(file)})
        for label, pictures in firsts:
            if name in pictures:
                source = data_uri(pictures[name]["prediction"])
                layers.append({"kind": "prediction", "label": label, "source": source})
        found.append({"name": name, "layers": layers})
    return found


def data_uri(file: Path) -> Markup:
    """Return a picture file as a ``data:`` address, its bytes as they are."""
    coded = base64.b64encode(file.read_bytes()).decode("ascii")
    return Markup(f"data:{_MEDIA[file.suffix.lower()]};base64,{coded}")


def _matrix(run: Run) -> dict[str, Any] | None:
    if run.confusion is None:
        return None
    names, counts = run.confusion["classes"], run.confusion["counts"]
    shares = row_shares(counts).tolist()
    mistakes = [
        {
            "true": names[row],
            "predicted": names[column],
            "share": share,
            "count": counts[row][column],
        }
        for row, line in enumerate(shares)
        for column, share in enumerate(line)
        if row != column and counts[row][column]
    ]
    mistakes.sort(key=lambda mistake: -mistake["count"])
    total = sum(map(sum, counts))
    for mistake in mistakes:
        mistake["of_all"] = mistake["count"] / total
    return {
        "run": run,
        "names": names,
        "shares": shares if len(names) <= _MOST_CLASSES else None,
        "mistakes": mistakes[:_MISTAKES],
    }


def _commands(runs: Sequence[Run]) -> list[str]:
    """Return the command lines that made the runs, each once, and those that score them."""
    recorded = [run.environment.get("command") for run in runs]
    lines = [shlex.join(map(str, command)) for command in recorded if command]
    lines += [f"segdistill evaluate {shlex.quote(str(run.folder))}" for run in runs]
    return list(dict.fromkeys(lines))


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _breakable(name: str) -> Markup:
    """Let a long name break after its separators on a narrow screen."""
    return Markup(re.sub(r"([_+/])", r"\1<wbr>", str(escape(name))))


def _unbroken(sentence: str) -> str:
    """Keep an equation and a number with its unit on one line."""
    return re.sub(r" (?==)|(?<==) |(?<=\d) (?=%|seeds|mIoU)", "\u00a0", sentence)
