"""Quantisation-aware distillation against post-training quantisation on CamVid, paired seeds.

    python benchmarks/bench_quantize.py --root path/to/camvid --teacher teacher.safetensors

Both students of a seed distil with pixel-wise KL in one cohort of the protocol of
``studies/camvid``, one in float and one with ``training.quantize: int8``. Each becomes an ONNX file
of INT8 layers alone, and the file that export delivers, in which sensitive layers may stay in
float. All are scored on the validation images. Interrupted cohorts go on and finished ones are
not repeated, so it can be stopped at any time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from results_file import write_result

from segdistill import export
from segdistill.api.calibration import read_calibration
from segdistill.api.export import views_of
from segdistill.cli.progress import display
from segdistill.config.loading import load_study
from segdistill.delivery.contract import Contract
from segdistill.delivery.gate import Score, score_beside
from segdistill.delivery.onnx_int8 import write_onnx_int8
from segdistill.delivery.opening import open_file
from segdistill.runs.result import read_result
from segdistill.studies.comparison import compare
from segdistill.studies.runs import final_config
from segdistill.training.build import open_split
from segdistill.training.finished_run import check_run
from segdistill.training.run import run_cohort
from segdistill.training.trained_student import load_student

METHOD, CALIBRATION = "kl", 64
SIZE = (180, 240)  # at which the runs are scored
LEARNERS: dict[str, dict[str, Any]] = {
    "float": {},
    "int8": {"training.quantize": "int8"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/quantize"))
    parser.add_argument("--seeds", type=int, default=3)
    words = parser.parse_args()
    study = load_study(
        "studies/camvid", [f"data.root={words.root}", f"teacher.weights={words.teacher}"]
    )
    pair = next(iter(study.pairs))
    found: list[dict[str, Any]] = []
    for seed in range(words.seeds):
        configs = {
            name: final_config(study, pair, METHOD, changed, seed)
            for name, changed in LEARNERS.items()
        }
        with display() as tell:
            runs = run_cohort(configs, words.out / f"seed-{seed}", resume=True, tell=tell)
        students = {run.name: measure(run) for run in runs}
        found.append({"seed": seed, "students": students})
        for name, values in students.items():
            print(seed, name, {key: values[key] for key in ("miou", "int8")}, flush=True)
        values = {"method": METHOD, "size": SIZE, "calibration": CALIBRATION, "runs": found}
        print(write_result("quantize", values | compared(found)), flush=True)


def measure(run: Path) -> dict[str, Any]:
    """Return the score of a student, of its file in INT8 alone, and of the file delivered."""
    checked = check_run(run)
    with tempfile.TemporaryDirectory() as name:
        delivered = export(
            run,
            Path(name) / "student.int8.onnx",
            format="onnx-int8",
            size=SIZE,
            calibration=CALIBRATION,
            force=True,
        )
        score = whole(run, Path(name) / "whole.int8.onnx") if delivered.floating else None
        alone = score or delivered.score
    assert alone is not None
    assert delivered.score is not None
    result = read_result(run)
    return {
        "config_hash": checked.config.hash(),
        "seconds": result.seconds,
        "recorded_miou": result.miou,
        "miou": alone.network_miou,
        "int8": asdict(alone),
        "delivered": {
            **asdict(delivered.score),
            "floating": delivered.floating,
            "refused": delivered.faults,
        },
    }


def whole(run: Path, file: Path) -> Score:
    """Score a file in which no layer with weights stayed in float."""
    checked = check_run(run)
    config, student = checked.config, load_student(checked.files.weights)
    training = open_split(config.data, config.data.train_split)
    seen = read_calibration(training, CALIBRATION, SIZE, images="float")
    contract = Contract(classes=student.classes.names, colors=student.classes.colors)
    write_onnx_int8(student.network, file, SIZE, contract, seen.images)
    split = config.evaluation.split
    return score_beside(
        student.network,
        open_file(file, "onnx-int8"),
        open_split(config.data, split),
        split=split,
        **views_of(config),
    )


def compared(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how files of students distilled through the quantiser differ from the others'."""
    if len(found) < 2:
        return {}

    def scores(learner: str, kind: str) -> list[float]:
        return [_score(each["students"][learner], kind) for each in found]

    first, second = LEARNERS
    return {
        "quantisation_aware_minus_post_training": {
            kind: asdict(compare(scores(second, kind), scores(first, kind)).difference)
            for kind in ("network", "int8", "delivered")
        }
    }


def _score(student: Mapping[str, Any], kind: str) -> float:
    return float(student["miou"] if kind == "network" else student[kind]["miou"])


if __name__ == "__main__":
    main()
