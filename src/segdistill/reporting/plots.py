"""Plots of a run: curves and the confusion matrix, drawn by matplotlib without a display."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segdistill.files import write_whole
from segdistill.runs.confusion import read_confusion
from segdistill.runs.layout import CONFUSION_PICTURE, METRICS_PICTURE, METRICS_TABLE
from segdistill.runs.metrics import Line, evaluation_lines, read_metrics, train_lines

_MOST_NUMBERS = 20  # largest number of classes for which cells have room for numbers


def write_run_pictures(run: Path) -> list[Path]:
    """Write ``results.csv``, ``results.png`` and ``confusion_matrix.png`` into a run folder.

    They are made from ``metrics.jsonl`` and ``confusion.json``; without these, they are left out.

    Args:
        run: the run folder.

    Returns:
        The files written.
    """
    pictures: dict[str, str | bytes] = {}
    metrics, confusion = read_metrics(run), read_confusion(run)
    if metrics:
        pictures[METRICS_TABLE] = metrics_csv(metrics)
        pictures[METRICS_PICTURE] = _png(curves_figure(metrics))
    if confusion is not None:
        pictures[CONFUSION_PICTURE] = _png(confusion_figure(confusion.counts, confusion.classes))
    for name, content in pictures.items():
        write_whole(run / name, content)
    return [run / name for name in pictures]


def metrics_csv(metrics: Sequence[Line]) -> str:
    """Return the log of a run as CSV: one row per step, with losses and scores."""
    rows: dict[int, dict[str, Any]] = {}
    columns: dict[str, None] = {"step": None}
    for line in metrics:
        values = asdict(line)
        parts = values.pop("parts", {})
        flat = {key: value for key, value in values.items() if key not in ("kind", "split")}
        flat |= {f"loss/{name}": value for name, value in parts.items()}
        rows.setdefault(line.step, {}).update(flat)
        columns |= dict.fromkeys(flat)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[step] for step in sorted(rows))
    return out.getvalue()


def curves_figure(metrics: Sequence[Line]) -> Figure:
    """Draw a run's loss with its parts, and its mIoU, over the steps."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses, scores = train_lines(metrics), evaluation_lines(metrics)
    steps = [line.step for line in losses]
    left.plot(steps, [line.loss for line in losses], color="black", label="loss")
    parts = {name: None for line in losses for name in line.parts}
    if len(parts) > 1:
        for name in parts:
            known = [line for line in losses if name in line.parts]
            values = [line.parts[name] for line in known]
            left.plot([line.step for line in known], values, linewidth=1, label=name)
        left.legend(frameon=False)
    _label(left, "Training loss")
    steps = [line.step for line in scores]
    right.plot(steps, [100 * line.miou for line in scores], "o-", color="black", markersize=3)
    _label(right, "mIoU, %")
    return figure


def confusion_figure(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Draw a confusion matrix as shares of each true class.

    Args:
        counts: confusion matrix; rows are the labels.
        names: names of the classes.
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
    """Return counts as shares of their rows; 0 in a row without counts."""
    table = np.asarray(counts, dtype=np.float64)
    totals = table.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    return shares


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3, linewidth=0.6)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130)
    return out.getvalue()
