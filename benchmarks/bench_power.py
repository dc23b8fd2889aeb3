"""Less noise per hour: what makes the paired difference of a study on CamVid scatter less.

    python benchmarks/bench_power.py --root path/to/camvid --out runs/power

One cohort a seed and protocol: plain, two methods, and a plain student with initial weights of its
own. What ended is in OUT/cohorts.jsonl and is not repeated, so the script can be stopped at any
time; ``--summary`` writes results/power.json from what is there. Small on purpose (quarter
resolution, five convolutions, a few hundred steps from scratch), so that many seeds are reached:
the table ranks protocols, and its deviations are those of this size.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from results_file import write_result
from scipy import optimize, stats
from torch import nn

from segdistill.config import RunConfig, check
from segdistill.data import Stream, build_dataset
from segdistill.models import save_network
from segdistill.scoring.evaluator import evaluate
from segdistill.studies.statistics import power
from segdistill.training.build import Data, build_recipe
from segdistill.training.cohort import Step, fit
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.run import prepare_cohort
from segdistill.types import Classes, Sample, SegDataset

SIZE = (90, 120)
EMA = 0.95
LAST = (0.8, 0.9, 1.0)  # of the steps, at which a student is scored
TEACHER_STEPS = 300
PROTOCOLS: dict[str, dict[str, int]] = {
    "100 steps of 8": {"steps": 100, "batch": 8},
    "100 steps of 16": {"steps": 100, "batch": 16},
    "200 steps of 8": {"steps": 200, "batch": 8},
}
METHODS = {
    "kl": [{"loss": "pixelwise_kl", "weight": 1.0}],
    "cwd": [{"loss": "channelwise_kl"}],
}
AGAIN = "plain, own initial weights"
MOST_SEEDS = 40
GOAL = 0.01  # to be found by 8 seeds with a chance of POWER
POWER = 0.8


class Small:
    """A dataset at quarter resolution, in memory; of many images every second, or third, ..."""

    def __init__(self, whole: SegDataset, every: int = 1) -> None:
        self._classes = whole.classes
        self._samples = [_smaller(whole[index]) for index in range(0, len(whole), every)]

    @property
    def classes(self) -> Classes:
        """Those of the whole dataset."""
        return self._classes

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def _smaller(sample: Sample) -> Sample:
    height, width = SIZE
    image = Image.fromarray(np.asarray(sample.image)).resize((width, height), Image.Resampling.BOX)
    mask = Image.fromarray(np.asarray(sample.mask)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    return Sample(np.asarray(image), np.asarray(mask), sample.name)


def settings(root: Path, *, batch: int, steps: int, seed: int, **training: Any) -> dict[str, Any]:
    """Return the tree that the runs of a cohort share."""
    return {
        "data": {
            "dataset": "camvid",
            "root": str(root),
            "batch_size": batch,
            "crop": [64, 96],
            "scale": [0.75, 1.5],
            "seed": seed,
        },
        "student": {"network": "import:bench_power:tiny"},
        "training": {
            "steps": steps,
            "lr": 0.05,
            "warmup_steps": 20,
            "device": "cpu",
            "seed": seed,
            **training,
        },
    }


TEACHER = {
    "network": "lraspp",
    "backbone": "mobilenetv2_035",
    "output_stride": 16,
    "width": 64,
}


def tiny(classes: int = 11) -> nn.Module:
    """Return a student of five convolutions, so that a step takes milliseconds."""

    def block(inner: int, outer: int, stride: int, dilation: int) -> list[nn.Module]:
        convolution = nn.Conv2d(
            inner, outer, 3, stride, padding=dilation, dilation=dilation, bias=False
        )
        return [convolution, nn.BatchNorm2d(outer), nn.ReLU()]

    return nn.Sequential(
        *block(3, 16, 2, 1),
        *block(16, 24, 2, 1),
        *block(24, 32, 2, 1),
        *block(32, 32, 1, 2),
        nn.Conv2d(32, classes, 1),
    )


def train_teacher(file: Path, root: Path, train: SegDataset, val: SegDataset) -> None:
    """Train the teacher of all cohorts, once, and write down what it scored."""
    tree = settings(root, batch=8, steps=TEACHER_STEPS, seed=1000, optimizer="adamw", lr=0.002)
    config = check(tree | {"student": TEACHER})
    fabric, data = build_fabric(config), _data(config, train, val)
    _, (learner,) = prepare_cohort({"": config}, data, fabric, silent)
    fit(None, [learner], data.stream, fabric=fabric, steps=TEACHER_STEPS)
    scored = evaluate(learner.result, val, workers=0)
    save_network(file, learner.result, {"miou": str(scored.scores.miou)})
    (file.parent / "teacher.json").write_text(json.dumps({"miou": scored.scores.miou}))


def _data(config: RunConfig, train: SegDataset, val: SegDataset) -> Data:
    stream = Stream(train, build_recipe(config.data), config.data.batch_size, config.data.seed)
    return Data(stream, train, val)


def run_cohort(
    protocol: str, seed: int, root: Path, weights: Path, train: SegDataset, val: SegDataset
) -> dict[str, Any]:
    """Train one cohort; return scores by student, raw and averaged, and what it took."""
    own = PROTOCOLS[protocol]
    tree = settings(root, batch=own["batch"], steps=own["steps"], seed=seed, ema=EMA)
    tree["teacher"] = TEACHER | {"weights": str(weights)}
    configs = {"plain": check(tree)}
    configs |= {name: check(tree | {"distill": terms}) for name, terms in METHODS.items()}
    other = tree | {"training": tree["training"] | {"seed": 10_000 + seed}}
    configs[AGAIN] = check(other)
    fabric, data = build_fabric(configs["plain"]), _data(configs["plain"], train, val)
    teacher, learners = prepare_cohort(configs, data, fabric, silent)
    scores = {learner.name: {"raw": [], "averaged": []} for learner in learners}
    due = {round(share * own["steps"]) for share in LAST}
    spent = {"scoring": 0.0, "passes": 0}

    def score(step: Step) -> bool:
        if step.done in due:
            began = time.process_time()
            for learner in learners:
                networks = {"raw": learner.network}
                if step.done == own["steps"]:
                    networks["averaged"] = learner.result
                for name, network in networks.items():
                    found = evaluate(network, val, workers=0, batch_size=16)
                    scores[learner.name][name].append(found.scores.miou)
                    spent["passes"] += 1
            spent["scoring"] += time.process_time() - began
        return True

    began = time.process_time()
    fit(teacher, learners, data.stream, fabric=fabric, steps=own["steps"], after=score)
    total = time.process_time() - began
    return {
        "protocol": protocol,
        "seed": seed,
        "training_cpu_seconds": total - spent["scoring"],
        "scoring_cpu_seconds": spent["scoring"] / spent["passes"],
        "scores": scores,
    }


def differences(
    rows: Sequence[Mapping[str, Any]], method: str, *, weights: str = "raw", last: int = 1
) -> list[float]:
    """Return method minus plain by seed, of the mean of the last few scores."""
    return [
        _score(row, method, weights, last) - _score(row, "plain", weights, last) for row in rows
    ]


def _score(row: Mapping[str, Any], student: str, weights: str, last: int) -> float:
    return float(np.mean(row["scores"][student][weights][-last:]))


def table(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, by protocol, what differences scatter by, what they cost and what they can show."""
    found: dict[str, dict[str, Any]] = {}
    for protocol in PROTOCOLS:
        own = sorted((r for r in rows if r["protocol"] == protocol), key=lambda row: row["seed"])
        if len(own) < 3:
            continue
        learners = len(own[0]["scores"])
        # Of plain and the methods: the fourth student is there for some comparisons alone.
        whole = float(np.mean([row["training_cpu_seconds"] for row in own]))
        training = whole * (1 + len(METHODS)) / learners
        scoring = float(np.mean([row["scoring_cpu_seconds"] for row in own])) * (1 + len(METHODS))

        others = {
            m: [
                _score(own[(place + 1) % len(own)], m, "raw", 1) - _score(row, "plain", "raw", 1)
                for place, row in enumerate(own)
            ]
            for m in METHODS
        }
        weights = {
            m: [_score(row, m, "raw", 1) - _score(row, AGAIN, "raw", 1) for row in own]
            for m in METHODS
        }
        mean = {m: differences(own, m, last=len(LAST)) for m in METHODS}
        averaged = {m: differences(own, m, weights="averaged") for m in METHODS}
        twice = {
            kind: {
                m: [
                    _score(row, m, kind, 1)
                    - (_score(row, "plain", kind, 1) + _score(row, AGAIN, kind, 1)) / 2
                    for row in own
                ]
                for m in METHODS
            }
            for kind in ("raw", "averaged")
        }
        once = training + scoring
        both = whole + scoring * learners / (1 + len(METHODS))
        found |= {
            protocol: _row({m: differences(own, m) for m in METHODS}, once),
            f"{protocol}, other crops and initial weights in each method": _row(others, once),
            f"{protocol}, other initial weights in each method": _row(weights, once),
            f"{protocol}, mean of the last three scores": _row(
                mean, training + len(LAST) * scoring
            ),
            f"{protocol}, averaged weights": _row(averaged, once),
            f"{protocol}, two plain runs": _row(twice["raw"], both),
            f"{protocol}, averaged weights, two plain runs": _row(twice["averaged"], both),
        }
    return found


def _row(by_method: Mapping[str, Sequence[float]], seconds: float) -> dict[str, Any]:
    seeds = len(next(iter(by_method.values())))
    variance = float(np.mean([np.var(own, ddof=1) for own in by_method.values()]))
    deviation, free = math.sqrt(variance), seeds - 1
    # Of one method's degrees of freedom: the two share their plain runs.
    low, high = (deviation * math.sqrt(free / stats.chi2.ppf(q, free)) for q in (0.95, 0.05))
    affordable = min(MOST_SEEDS, int(3600 / seconds))
    return {
        "seeds": seeds,
        "gain_points": {name: 100 * float(np.mean(own)) for name, own in by_method.items()},
        "deviation_points": 100 * deviation,
        "deviation_90_percent": [100 * low, 100 * high],
        "cpu_seconds_a_seed": seconds,
        "gain_found_by_8_seeds_points": 100 * detectable(deviation, 8),
        "power_of_8_seeds_for_one_point": power(GOAL, deviation, 8),
        "seeds_for_one_point": next(
            n for n in count(2) if power(GOAL, deviation, n) >= POWER or n == 1000
        ),
        "seeds_in_a_cpu_hour": affordable,
        "gain_found_in_a_cpu_hour_points": 100 * detectable(deviation, affordable),
    }


def detectable(deviation: float, seeds: int) -> float:
    """Return the true gain that a study of so many seeds finds with a chance of 80 %."""
    if seeds < 2:
        return math.inf
    shift = 2 * float(stats.t.ppf(0.975, seeds - 1)) + 4  # of the t statistic: far beyond 80 %
    most = shift * deviation / math.sqrt(seeds)
    return float(optimize.brentq(lambda gain: power(gain, deviation, seeds) - POWER, 0, most))


def summarize(out: Path) -> None:
    """Write results/power.json from the cohorts that have ended, and print the table."""
    lines = (out / "cohorts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = table(rows)
    print(f"{'protocol':70} seeds    SD (90 %)        CPU s  8 seeds find  in a CPU hour")
    for name, row in found.items():
        low, high = row["deviation_90_percent"]
        print(
            f"{name:70} {row['seeds']:5}  {row['deviation_points']:.2f} ({low:.2f}-{high:.2f})"
            f"  {row['cpu_seconds_a_seed']:8.1f}  {row['gain_found_by_8_seeds_points']:12.2f}"
            f"  {row['gain_found_in_a_cpu_hour_points']:13.2f}"
        )
    values = {
        "size": SIZE,
        "ema": EMA,
        "scored_at": LAST,
        "teacher": json.loads((out / "teacher.json").read_text(encoding="utf-8")),
        "protocols": found,
        "cohorts": rows,
    }
    print(write_result("power", values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/power"))
    parser.add_argument("--seeds", type=int, default=MOST_SEEDS)
    parser.add_argument("--summary", action="store_true", help="train nothing")
    words = parser.parse_args()
    if words.summary:
        summarize(words.out)
        return
    words.out.mkdir(parents=True, exist_ok=True)
    any_config = check(settings(words.root, batch=8, steps=1, seed=0))
    train = Small(build_dataset(any_config.data, split="train"))
    val = Small(build_dataset(any_config.data, split="val"), every=2)
    weights, ended = words.out / "teacher.safetensors", words.out / "cohorts.jsonl"
    if not weights.exists():
        train_teacher(weights, words.root, train, val)
    lines = ended.read_text(encoding="utf-8").splitlines() if ended.exists() else []
    known = {(row["protocol"], row["seed"]) for row in map(json.loads, lines)}
    for seed in range(words.seeds):
        for protocol in PROTOCOLS:
            if (protocol, seed) not in known:
                row = run_cohort(protocol, seed, words.root, weights, train, val)
                with ended.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(protocol, seed, flush=True)
    summarize(words.out)


if __name__ == "__main__":
    main()
