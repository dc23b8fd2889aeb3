"""What distillation and a cohort cost: a step against its parts, all in one process.

    python benchmarks/bench_step.py --root path/to/camvid --teacher teacher.safetensors

Parts are timed in turn with the whole, step by step, and medians are compared: a machine that
slows down slows all of them. Targets: a distillation step takes at most 1.10 times teacher
forward and plain student step; a cohort at most 1.05 times teacher forward and the steps of
its learners.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from results_file import write_result

from segdistill import config
from segdistill.config.loading import read
from segdistill.training.build import Data, build_data
from segdistill.training.cohort import fit, teach, to_float
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.run import prepare_cohort


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    tree = config.override(
        read("camvid/students"), [f"data.root={words.root}", f"teacher.weights={words.teacher}"]
    )
    configs = {name: config.check(one) for name, one in config.cohort(tree).items()}
    first = configs["plain"]
    fabric = build_fabric(first)
    data = build_data(first)
    memory = _Memory(data, 8)
    teacher, learners = prepare_cohort(configs, memory.data, fabric, silent)
    assert teacher is not None
    plain, kl, both = learners

    def step(chosen: list, guide: object) -> Callable[[], None]:
        return lambda: fit(guide, chosen, memory.stream, fabric=fabric, steps=1) and None

    images = to_float(memory.stream.batch(0).images)
    parts: dict[str, Callable[[], object]] = {
        "teacher": lambda: teach(teacher, images, fabric),
        "plain": step([plain], None),
        "kl": step([kl], teacher),
        "lad+kl": step([both], teacher),
        "cohort": step(learners, teacher),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(words.rounds + 3):
        for name, work in parts.items():
            began = time.perf_counter()
            work()
            if turn >= 3:
                times[name].append(1000 * (time.perf_counter() - began))
    median = {name: statistics.median(values) for name, values in times.items()}
    separate = median["plain"] + median["kl"] + median["lad+kl"]
    learner_steps = separate - 2 * median["teacher"]
    ratios = {
        "kl_over_parts": median["kl"] / (median["teacher"] + median["plain"]),
        "lad+kl_over_parts": median["lad+kl"] / (median["teacher"] + median["plain"]),
        "cohort_over_parts": median["cohort"] / (median["teacher"] + learner_steps),
        "cohort_over_separate_runs": median["cohort"] / separate,
    }
    values = {"rounds": words.rounds, "threads": words.threads, "median_ms": median}
    print(write_result("step", values | {"ratios": ratios}))
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.3f}")


class _Memory:
    """A stream whose batches are made before anything is timed."""

    def __init__(self, data: Data, count: int) -> None:
        self.data = data
        self.batches = [data.stream.batch(k) for k in range(count)]
        self.stream = self
        self.batch_size, self.unlabelled = data.stream.batch_size, data.stream.unlabelled

    def batch(self, k: int) -> object:
        return self.batches[k % len(self.batches)]

    def loader(self, start: int, stop: int, **_: object) -> object:
        return iter(self.batches[start:stop])


if __name__ == "__main__":
    main()
