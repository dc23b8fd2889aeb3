"""Every paper's objective in a real training run of 300 steps on CamVid.

    python benchmarks/bench_recipes.py --root path/to/camvid --teacher teacher.safetensors

The teacher is an FPN on EfficientNet-Lite0, trained for 2,000 steps on CamVid at half resolution;
its settings are ``TEACHER``. The students are those of ``camvid/students``, with smaller crops and
batches. Recipes with the same terms are one run. Runs share a teacher, batches and seed in
cohorts, one after the other; what the result file already has with the terms of today is not
repeated, so it can be stopped and gone on with. What diverges is trained once more with a tenth of
the learning rate, and both are in its row. 300 steps are too few to compare methods: it shows that
each objective trains, and what its own part of a step costs.

The terms are those of the recipes, and so is ``clip_norm`` where one has it. Where one names a map
of its own network that is not here, the map of the same meaning takes its place (``TAPS``).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from results_file import FOLDER, write_result

from segdistill import config
from segdistill.catalogue.recipes import recipe_files
from segdistill.config.loading import read
from segdistill.files import read_json
from segdistill.runs.layout import FAILED
from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.result import read_failure, read_result
from segdistill.training.run import run_cohort

STEPS, BATCH, CROP = 300, 2, [96, 128]
RATES = (0.05, 0.005)  # that of camvid/students, and that for what diverged with it
TRAINING = {
    "steps": STEPS,
    "warmup_steps": 20,
    "evaluate_every": None,
    "log_every": 10,
    "precision": "32-true",  # not every processor has bfloat16 arithmetic
}
TEACHER = {"network": "fpn", "backbone": "efficientnet_lite0", "pyramid": 96, "width": 64}
TAPS = {
    "last": {"teacher": "head", "student": "head"},
    "backbone.body.layer1": {
        "teacher": "backbone.body.blocks.1",
        "student": "backbone.body.blocks.1",
    },
}
"""The maps that stand for maps of the papers' networks: the last one, and the first of stride 4."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--at-once", type=int, default=8, help="learners of a cohort")
    parser.add_argument("--only", nargs="+", default=[], help="recipes, such as papers/kd")
    words = parser.parse_args()
    names = words.only or ["plain", *(n for n in recipe_files() if n.startswith("papers/"))]
    for rate in RATES:
        missing = [group for group in same_terms(names) if not is_finished(group, rate)]
        while missing:
            now, missing = missing[: words.at_once], missing[words.at_once :]
            before, found = finished(), train(now, words.root, words.teacher, rate)
            for name, result in found.items():
                if rate != RATES[0]:
                    result["diverged_before"] = before[name]["diverged"]
            setup = {"steps": STEPS, "batch_size": BATCH, "crop": CROP, "teacher": TEACHER}
            write_result("recipes", setup | {"recipes": dict(sorted((before | found).items()))})


def same_terms(names: list[str]) -> list[list[str]]:
    """Return the recipes in groups, those with the same terms together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(json.dumps([terms_of(name), clipping_of(name)]), []).append(name)
    return list(groups.values())


def finished() -> dict[str, Any]:
    """Return the recipes of the result file, by name."""
    file = FOLDER / "recipes.json"
    return dict(read_json(file)["recipes"]) if file.exists() else {}


def is_finished(group: list[str], rate: float) -> bool:
    """Return whether nothing is left to do at a learning rate."""
    rows = [finished().get(name, {}) for name in group]
    return all(
        row.get("terms") == terms_of(name)
        and row.get("clip_norm") == clipping_of(name).get("clip_norm")
        and ("miou" in row or ("diverged" in row and row["lr"] <= rate))
        for name, row in zip(group, rows, strict=True)
    )


def terms_of(name: str) -> list[dict[str, Any]]:
    """Return the terms that a recipe has today."""
    return [] if name == "plain" else list(read(name)["distill"])


def clipping_of(name: str) -> dict[str, float]:
    """Return the recipe's ``clip_norm``, or nothing."""
    training = {} if name == "plain" else read(name)["training"]
    return {key: training[key] for key in ("clip_norm",) if key in training}


def train(groups: list[list[str]], root: Path, teacher: Path, rate: float) -> dict[str, Any]:
    """Train one student per group of recipes and return what each recipe came to."""
    tree = {key: part for key, part in read("camvid/students").items() if key != "cohort"}
    taps = {
        role: {"taps": {name: paths[role] for name, paths in TAPS.items()}}
        for role in ("teacher", "student")
    }
    changes = {
        "data": {"batch_size": BATCH, "crop": CROP, "root": str(root)},
        "training": TRAINING | {"lr": rate},
        "evaluation": {"pictures": 0},
        "teacher": TEACHER | {"weights": str(teacher)} | taps["teacher"],
        "student": taps["student"],
    }
    tree = config.merge(tree, changes)
    configs = {
        group[0].removeprefix("papers/"): config.check(
            {
                **tree,
                "distill": terms_of(group[0]),
                "training": tree["training"] | clipping_of(group[0]),
            }
        )
        for group in groups
    }
    with tempfile.TemporaryDirectory() as folder:
        outs = run_cohort(configs, Path(folder) / "cohort", tell=told, keep_going=True)
        found = [outcome(out) for out in outs]
    return {
        name: {
            **result,
            "lr": rate,
            "terms": terms_of(name),
            **clipping_of(name),
            "load": round(os.getloadavg()[0], 1),
        }
        for group, result in zip(groups, found, strict=True)
        for name in group
    }


def told(event: object) -> None:
    print(event, flush=True)


def outcome(out: Path) -> dict[str, Any]:
    """Return what a run folder holds of a finished or a diverged run."""
    if (out / FAILED).exists():
        return {"diverged": read_failure(out).error}
    result, lines = read_result(out), train_lines(read_metrics(out))
    own, before = result.own_seconds or 0.0, result.prepare_seconds or 0.0
    return {
        "miou": result.miou,
        "pixel_accuracy": result.pixel_accuracy,
        "own_seconds_a_step": (own - before) / STEPS,
        "prepare_seconds": before,
        "first_losses": dict(lines[0].parts),
        "last_losses": dict(lines[-1].parts),
        "config_hash": result.config_hash,
        "seed": result.seed,
    }


if __name__ == "__main__":
    main()
