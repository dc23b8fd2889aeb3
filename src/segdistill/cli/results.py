"""Results of runs as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segdistill.cli.tables import print_table
from segdistill.runs.result import read_result

_SCORES = (
    ("mIoU %", "miou", 100, 2),
    ("mIoU over true classes %", "miou_ground_truth_classes", 100, 2),
    ("pixel accuracy %", "pixel_accuracy", 100, 2),
    ("parameters M", "params_m", 1, 3),
    ("GFLOPs per image", "gflops", 1, 2),
    ("ms per image, 1 thread", "latency_ms", 1, 1),
    ("training seconds", "seconds", 1, 0),
)


def print_runs(runs: Sequence[Path], *, as_json: bool) -> None:
    """Print the results of finished runs on stdout."""
    results = [read_result(run).as_dict() | {"folder": str(run)} for run in runs]
    if as_json:
        print(json.dumps(results[0] if len(results) == 1 else results))
    else:
        print_results(results)


def print_results(results: Sequence[dict[str, Any]]) -> None:
    """Print one column per run: scores, cost, then IoU by class."""
    results = [_as_timed_with_students(result, results) for result in results]
    rows = [
        (label, *(_number(result.get(key), scale, digits) for result in results))
        for label, key, scale, digits in _SCORES
        if any(result.get(key) is not None for result in results)
    ]
    rows += [
        (f"IoU {name}", *(_number(result["iou"].get(name), 100, 1) for result in results))
        for name in results[0]["iou"]
    ]
    print_table(["", *(str(result["name"]) for result in results)], rows)
    absent = sorted({name for result in results for name in result["absent_classes"]})
    if absent:
        print(f"absent from labels and predictions, left out of mIoU: {', '.join(absent)}")


def _as_timed_with_students(
    result: dict[str, Any], results: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Give a teacher the latency measured in turns with its students."""
    times = [row["teacher_latency_ms"] for row in results if row.get("teacher_latency_ms")]
    teacher = result["name"] == "teacher" and bool(times)
    return result | {"latency_ms": times[0]} if teacher else result


def _number(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
