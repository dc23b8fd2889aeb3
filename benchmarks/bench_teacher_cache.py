"""What a teacher's cached maps save: steps against a plain step, and runs of one data seed.

    python benchmarks/bench_teacher_cache.py

Steps are timed in turn in one process, in CPU seconds of one thread, and medians compared: plain,
with the teacher, and with its maps read from disk. Target: from a warm cache at most 1.10 times a
plain step. The runs are what a study trains under one data seed: methods one after the other,
the first of which writes the maps. Drawn scenes and an untrained teacher change no time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from results_file import write_result

from segdistill import config
from segdistill.config import RunConfig
from segdistill.training.build import build_data
from segdistill.training.cohort import fit
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.open_cache import open_cache
from segdistill.training.run import prepare_cohort, run_cohort

METHODS = {
    "pixelwise_kl": [{"loss": "pixelwise_kl"}],
    "channelwise_kl": [{"loss": "channelwise_kl"}],
    "layer_angular": [{"loss": "layer_angular"}],
}
CONFIG = {
    "data": {
        "dataset": "scenes",
        "size": [120, 160],
        "train_images": 16,
        "val_images": 4,
        "batch_size": 4,
        "crop": [96, 128],
    },
    "teacher": {
        "network": "deeplabv3",
        "backbone": "resnet50",
        "output_stride": 16,
        "untrained": True,
    },
    "student": {"network": "deeplabv3", "backbone": "resnet18", "output_stride": 16},
    "training": {"steps": 8, "device": "cpu"},
    "evaluation": {"pictures": 0},
}


def build(cache: Path | None, **sections: object) -> RunConfig:
    tree = config.merge(CONFIG, sections)
    words = [] if cache is None else [f"teacher.cache={cache}"]
    return config.check(config.override(tree, words))


def steps(rounds: int, cache: Path) -> dict[str, float]:
    """Return the median milliseconds of each kind of step."""
    found: dict[str, Callable[[], object]] = {}
    for method, distill in {"plain": [], **METHODS}.items():
        checked = build(cache, distill=distill)
        fabric, data = build_fabric(checked), build_data(checked)
        batch = data.stream.batch(0)  # made before anything is timed
        data.stream.loader = lambda *_, batch=batch, **__: iter([batch])  # type: ignore[method-assign]
        teacher, learners = prepare_cohort({"": checked}, data, fabric, silent)

        def step(stored: object, given: tuple = (teacher, learners, data.stream, fabric)) -> object:
            teacher, learners, stream, fabric = given
            return fit(teacher, learners, stream, fabric=fabric, steps=1, cache=stored)

        if teacher is None:
            found[method] = lambda step=step: step(None)
            continue
        stored = open_cache(checked, teacher, data, fabric, silent)
        found[f"{method} with the teacher"] = lambda step=step: step(None)
        found[f"{method} from the cache"] = lambda step=step, stored=stored: step(stored)
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds + 2):  # the first writes the maps
        for name, work in found.items():
            began = time.process_time()
            work()
            if turn >= 2:
                times[name].append(1000 * (time.process_time() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def study(folder: Path, cache: Path | None) -> dict[str, float]:
    """Return the seconds of each run of one data seed, one after the other."""
    spent = {}
    for method, distill in METHODS.items():
        began = time.process_time()
        run_cohort({"": build(cache, distill=distill)}, folder / method)
        spent[method] = time.process_time() - began
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        median = steps(words.rounds, folder / "of steps")
        without = study(folder / "without", None)
        cache = folder / "of runs"
        with_cache = study(folder / "with", cache)
        mib = sum(file.stat().st_size for file in cache.rglob("*.safetensors")) / 2**20
    ratios = {name: value / median["plain"] for name, value in median.items()}
    values = {
        "rounds": words.rounds,
        "threads": words.threads,
        "target": "from the cache at most 1.10 times plain",
        "median_ms": median,
        "over_plain": ratios,
        "seconds_of_runs": {"without": without, "with": with_cache},
        "cache_mib": mib,
    }
    print(write_result("teacher_cache", values))
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.3f}")
    print(f"runs: {sum(without.values()):.1f} s without, {sum(with_cache.values()):.1f} s with")


if __name__ == "__main__":
    main()
