"""Pictures of a run: curves and the confusion matrix, drawn by matplotlib without a display."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segdistill.files import read_json, read_metrics, write_whole

_MOST_NUMBERS = 20  # classes up to which the cells of a matrix have room for their numbers


def write_run_pictures(run: Path) -> list[Path]:
    """Write ``results.csv``, ``results.png`` and ``confusion_matrix.png`` into a run folder.

    They are made from ``metrics.jsonl`` and ``confusion.json``; what has no source is left
    out.

    Args:
        run: the run folder.

    Returns:
        The files written.
    """
    written = []
    metrics = read_metrics(run)
    if metrics:
        write_whole(run / "results.csv", metrics_csv(metrics))
        write_whole(run / "results.png", _png(curves_figure(metrics)))
        written += [run / "results.csv", run / "results.png"]
    if (run / "confusion.json").exists():
        confusion = read_json(run / "confusion.json")
        figure = confusion_figure(confusion["counts"], confusion["classes"])
        write_whole(run / "confusion_matrix.png", _png(figure))
        written.append(run / "confusion_matrix.png")
    return written


def metrics_csv(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines of ``metrics.jsonl`` as CSV: one row a step, losses and scores."""
    rows: dict[int, dict[str, Any]] = {}
    columns = {"step": None}
    for line in metrics:
        flat = {key: value for key, value in line.items() if key not in ("kind", "parts", "split")}
        flat |= {f"loss/{name}": value for name, value in line.get("parts", {}).items()}
        rows.setdefault(line["step"], {}).update(flat)
        columns |= dict.fromkeys(flat)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[step] for step in sorted(rows))
    return out.getvalue()


def series(
    metrics: Sequence[Mapping[str, Any]], kind: str, key: str
) -> tuple[list[int], list[float]]:
    """Return steps and values of one number of ``metrics.jsonl``."""
    found = [(line["step"], line[key]) for line in metrics if line["kind"] == kind and key in line]
    return [step for step, _ in found], [value for _, value in found]


def curves_figure(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw a run's loss with its parts, and its mIoU, over the steps."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps, losses = series(metrics, "train", "loss")
    left.plot(steps, losses, color="black", label="loss")
    parts = {name: None for line in metrics for name in line.get("parts", {})}
    if len(parts) > 1:
        for name in parts:
            lines = [line for line in metrics if name in line.get("parts", {})]
            values = [line["parts"][name] for line in lines]
            left.plot([line["step"] for line in lines], values, linewidth=1, label=name)
        left.legend(frameon=False)
    label_axes(left, "Training loss", "step")
    steps, scores = series(metrics, "evaluation", "miou")
    right.plot(steps, [100 * value for value in scores], "o-", color="black", markersize=3)
    label_axes(right, "mIoU, %", "step")
    return figure


def confusion_figure(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Draw a confusion matrix as shares of each true class.

    Args:
        counts: rows are the truth.
        names: of the classes.
    """
    shares = row_shares(counts)
    size = min(14.0, max(4.0, 1.8 + 0.42 * len(names)))
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(names) <= _MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                color = "white" if share > 0.6 else "black"
                text = f"{100 * share:.0f}"
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, shrink=0.8, label="share of the true class")
    return figure


def row_shares(counts: Sequence[Sequence[int]]) -> np.ndarray:
    """Return counts as shares of their row, 0 in a row without counts."""
    table = np.asarray(counts, dtype=np.float64)
    totals = table.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    return shares


def label_axes(axes: Axes, title: str, across: str) -> None:
    """Title a plot and strip it of what carries no information."""
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(across)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3, linewidth=0.6)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130)
    return out.getvalue()
