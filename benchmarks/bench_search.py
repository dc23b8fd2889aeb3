"""A search of students on drawn scenes: which light network is worth its time on one thread.

    python benchmarks/bench_search.py --latency 60ms --out runs/search

A teacher is trained first. Finished runs are not repeated, so it can be stopped at any time.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from results_file import write_result

from segdistill import search, train
from segdistill.cli.progress import display
from segdistill.cli.words import parse_latency
from segdistill.runs.result import read_result
from segdistill.runs.student import student_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/search"))
    parser.add_argument("--latency", default="15ms")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--teacher-steps", type=int, default=500)
    parser.add_argument("words", nargs="*", help="KEY=VALUE on the search file")
    given = parser.parse_args()
    one_thread = [
        "training.device=cpu",
        "training.precision=32-true",
        f"data.batch_size={given.batch}",
    ]
    began = time.time()
    with display() as tell:
        (teacher,) = train(
            "scenes/teacher",
            given.out / "teacher",
            overrides=[
                *one_thread,
                f"training.steps={given.teacher_steps}",
                "training.evaluate_every=null",
            ],
            resume=True,
            tell=tell,
        )
        trained = time.time()
        found = search(
            "searches/scenes",
            given.out / "search",
            overrides=[
                *one_thread,
                "engine.threads=1",
                f"teacher.weights={student_file(teacher)}",
                f"latency.limit_ms={parse_latency(given.latency):g}",
                *given.words,
            ],
            resume=True,
            tell=tell,
        )
    minutes = {"teacher": (trained - began) / 60, "search": (time.time() - trained) / 60}
    summary = {
        "command": f"--latency {given.latency} {' '.join(given.words)}".strip(),
        "minutes_of_this_call": minutes,
        "teacher": {"miou": read_result(teacher).miou, "steps": read_result(teacher).steps},
        "front": [
            {
                "name": one.name,
                "student": one.student,
                "ms": one.time.median_ms,
                "miou": one.miou,
                "interval": [one.low, one.high],
                "fits": one.fits,
            }
            for one in sorted(
                (one for one in found.students if one.on_front and one.time is not None),
                key=lambda one: one.miou or 0.0,
            )
            if one.time is not None
        ],
        "found": asdict(found) | {"command": found.command.replace(str(given.out), "OUT")},
    }
    print(write_result("search_scenes", summary))


if __name__ == "__main__":
    main()
