"""Print the CamVid table of the README from results/camvid.json, as Markdown."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

FILE = Path(__file__).parent / "results" / "camvid.json"


def table() -> str:
    """Return the table, with one row a network."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    teacher, students = found["teacher"], found["students"]
    seeds = [run["data_seed"] for run in students["plain"]]
    head = ["network", *(f"seed {seed}" for seed in seeds), "mean ± SD", "against plain (95 %)"]
    head += ["parameters", "GFLOPs", "ms"]
    rows = [head, ["---"] * len(head)]
    blank = ["-"] * (len(seeds) + 1)
    score = f"{100 * teacher['miou']:.2f}"
    rows.append(["teacher, DeepLabV3-ResNet18", score, *blank, *_cost(teacher)])
    for name, runs in students.items():
        scores = [100 * run["miou"] for run in runs]
        spread = f"{statistics.mean(scores):.2f} ± {statistics.stdev(scores):.2f}"
        gain = "-"
        if name in found["against_plain"]:
            against = found["against_plain"][name]
            low, high = 100 * against["low"], 100 * against["high"]
            gain = f"{100 * against['difference']:+.2f} ({low:+.2f} to {high:+.2f})"
        points = [f"{score:.2f}" for score in scores]
        rows.append([f"student, {name}", *points, spread, gain, *_cost(runs[0])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cost(run: dict[str, float]) -> list[str]:
    return [f"{run['params_m']:.2f} M", f"{run['gflops']:.2f}", f"{run['latency_ms']:.0f}"]


if __name__ == "__main__":
    print(table())
