"""Every paper's objective in a real training run of 300 steps on CamVid.

    python benchmarks/bench_recipes.py --root path/to/camvid --teacher teacher.safetensors

Recipes that the result file already has with the terms of today are not repeated, so it can be
stopped and gone on with; ``--last-first`` lets a second process work from the other end. Each
recipe runs in a fresh process with its own terms, and with the small networks, crops and schedule
of ``camvid/students``. 300 steps are too few to compare methods: it shows that each trains, and
what a step of it costs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results_file import FOLDER, write_result

from segdistill import config
from segdistill.catalogue.recipes import recipe_files
from segdistill.config.loading import read
from segdistill.errors import TrainingDivergedError
from segdistill.files import read_json
from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.result import read_result
from segdistill.training.run import run_cohort

STEPS = 300
SHARED = {"steps": STEPS, "warmup_steps": 20, "evaluate_every": None, "log_every": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--last-first", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one is not None:
        print(json.dumps(run(words.one, words.root, words.teacher)))
        return
    names = ["plain", *(name for name in recipe_files() if name.startswith("papers/"))]
    for name in reversed(names) if words.last_first else names:
        if finished().get(name, {}).get("terms") == terms_of(name):
            continue
        command = [sys.executable, __file__, "--one", name]
        command += ["--root", str(words.root), "--teacher", str(words.teacher)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        print(name, result.get("diverged") or result["miou"], flush=True)
        result["terms"] = terms_of(name)
        write_result("recipes", {"steps": STEPS, "recipes": finished() | {name: result}})


def finished() -> dict[str, Any]:
    """Return the recipes of the result file, by name."""
    file = FOLDER / "recipes.json"
    return dict(read_json(file)["recipes"]) if file.exists() else {}


def terms_of(name: str) -> list[dict[str, Any]]:
    """Return the terms that a recipe has today."""
    return [] if name == "plain" else list(read(name)["distill"])


def run(name: str, root: Path, teacher: Path) -> dict[str, Any]:
    """Train the small student with the terms of a recipe and return what it cost."""
    tree = {key: part for key, part in read("camvid/students").items() if key != "cohort"}
    tree = config.merge(tree, {"training": SHARED, "evaluation": {"pictures": 0}})
    tree["distill"] = terms_of(name)
    # Names that a recipe gives to maps of its own networks stand for the last map of these.
    named = {term["tap"] for term in tree["distill"]} - {"backbone", "head", "logits"}
    for role in ("teacher", "student") if named else ():
        tree = config.merge(tree, {role: {"taps": dict.fromkeys(named, "head")}})
    tree = config.override(tree, [f"data.root={root}", f"teacher.weights={teacher}"])
    checked = config.check(tree)
    with tempfile.TemporaryDirectory() as folder:
        try:
            (out,) = run_cohort({"": checked}, Path(folder) / "run")
        except TrainingDivergedError as error:
            return {"diverged": str(error), "config_hash": checked.hash()}
        result, lines = read_result(out), train_lines(read_metrics(out))
    rates = sorted(line.images_per_second for line in lines)
    return {
        "miou": result.miou,
        "pixel_accuracy": result.pixel_accuracy,
        "seconds_a_step": checked.data.batch_size / rates[len(rates) // 2],
        "prepare_seconds": result.prepare_seconds,
        "peak_memory_mib": result.peak_memory_mib,
        "first_losses": dict(lines[0].parts),
        "last_losses": dict(lines[-1].parts),
        "config_hash": result.config_hash,
        "seed": result.seed,
    }


if __name__ == "__main__":
    main()
