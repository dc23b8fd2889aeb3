"""Results of runs as a table for people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segdistill.runs.result import read_result


def print_runs(runs: Sequence[Path], *, as_json: bool) -> None:
    """Print the results of finished runs on stdout."""
    results = [read_result(run).as_dict() | {"folder": str(run)} for run in runs]
    if as_json:
        print(json.dumps(results[0] if len(results) == 1 else results))
    else:
        print(table(results))


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return one column a run: scores, cost, then IoU by class."""
    rows: list[tuple[str, list[str]]] = [("", [str(result["name"]) for result in results])]
    for label, key, scale, digits in _ROWS:
        if any(result.get(key) is not None for result in results):
            rows.append((label, [_number(result.get(key), scale, digits) for result in results]))
    for name in results[0]["iou"]:
        rows.append(
            (f"IoU {name}", [_number(result["iou"].get(name), 100, 1) for result in results])
        )
    absent = sorted({name for result in results for name in result["absent_classes"]})
    first = max(len(label) for label, _ in rows)
    widths = [max(len(row[1][place]) for row in rows) for place in range(len(results))]
    lines = []
    for place, (label, cells) in enumerate(rows):
        padded = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{label.ljust(first)}  {padded}".rstrip())
        if place == 0:
            lines.append("-" * (first + 2 + sum(widths) + 2 * (len(widths) - 1)))
    if absent:
        lines.append(f"absent from truth and prediction, left out of mIoU: {', '.join(absent)}")
    return "\n".join(lines)


_ROWS = (
    ("mIoU %", "miou", 100, 2),
    ("mIoU over true classes %", "miou_ground_truth_classes", 100, 2),
    ("pixel accuracy %", "pixel_accuracy", 100, 2),
    ("parameters M", "params_m", 1, 3),
    ("GFLOPs an image", "gflops", 1, 2),
    ("ms an image, 1 thread", "latency_ms", 1, 1),
    ("training seconds", "seconds", 1, 0),
)


def _number(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
