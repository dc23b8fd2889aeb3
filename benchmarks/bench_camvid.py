"""The CamVid table of the README: a teacher, and three students on three paired seeds.

    python benchmarks/bench_camvid.py --root path/to/camvid --out runs/camvid

Finished runs are not repeated and interrupted ones go on, so it can be stopped at any time.
On 2 cores the teacher takes about half an hour, each cohort of three students about 20
minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from results_file import write_result

from segdistill import distill, train
from segdistill.cli.progress import display
from segdistill.runs.result import read_result
from segdistill.runs.student import student_file
from segdistill.studies.comparison import compare_all

KEPT = ("miou", "pixel_accuracy", "iou", "best", "seconds", "peak_memory_mib", "config_hash")
COST = ("params_m", "gflops", "latency_ms", "cost_size")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/camvid"))
    parser.add_argument("--seeds", type=int, default=3)
    words = parser.parse_args()
    data = f"data.root={words.root}"
    with display() as tell:
        (teacher,) = train(
            "camvid/teacher", words.out / "teacher", overrides=[data], resume=True, tell=tell
        )
        weights = f"teacher.weights={student_file(teacher)}"
        cohorts = [
            distill(
                "camvid/students",
                words.out / f"seed-{seed}",
                overrides=[data, weights, f"data.seed={seed}", f"training.seed={seed}"],
                resume=True,
                tell=tell,
            )
            for seed in range(words.seeds)
        ]
    print(write_result("camvid", summary(teacher, cohorts)))


def summary(teacher: Path, cohorts: list[list[Path]]) -> dict[str, Any]:
    """Return the teacher's result, the students' by method and seed, and their comparison."""
    methods: dict[str, list[dict[str, Any]]] = {}
    for cohort in cohorts:
        for run in cohort:
            result = read_result(run).as_dict()
            methods.setdefault(run.name, []).append(_chosen(result, (*KEPT, *COST, "data_seed")))
    scores = {name: [run["miou"] for run in runs] for name, runs in methods.items()}
    plain = scores.pop("plain")
    compared = {
        name: {
            "mean": comparison.mean,
            "deviation": comparison.deviation,
            "difference": comparison.difference.estimate,
            "low": comparison.difference.low,
            "high": comparison.difference.high,
            "p": comparison.p,
            "p_holm": comparison.p_holm,
        }
        for name, comparison in compare_all(scores, plain).items()
    }
    return {
        "teacher": _chosen(read_result(teacher).as_dict(), (*KEPT, *COST)),
        "students": methods,
        "against_plain": compared,
    }


def _chosen(result: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: result[key] for key in keys}


if __name__ == "__main__":
    main()
