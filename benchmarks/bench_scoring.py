"""What further scores and shifts cost beside a plain evaluation, on CamVid's validation images.

    python benchmarks/bench_scoring.py --root path/to/camvid

CPU seconds of one process, the variants interleaved, so that busy neighbours slow all alike.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

from results_file import write_result

from segdistill.catalogue.shifts import SHIFTS
from segdistill.config import check
from segdistill.data import build_dataset
from segdistill.data.carving import Subset
from segdistill.data.shifts import Shifted
from segdistill.models import build_network
from segdistill.scoring.evaluator import evaluate

ROUNDS, IMAGES = 5, 12
STUDENT = {"network": "lraspp", "backbone": "mobilenetv2_035", "output_stride": 16, "width": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    data = {"dataset": "camvid", "root": str(parser.parse_args().root)}
    tree = {"data": {**data, "batch_size": 1, "crop": [64, 64]}, "student": STUDENT}
    config = check({**tree, "training": {"steps": 1}})
    val = Subset(build_dataset(config.data, split="val"), range(IMAGES))
    network = build_network(config.student, classes=len(val.classes), seed=0)
    variants = {"mIoU": (val, False), "with ECE and boundary IoU": (val, True)}
    variants |= {f"the same under {name} 3": (Shifted(val, name, 3), True) for name in SHIFTS}
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(1 + ROUNDS):
        for name, (dataset, further) in variants.items():
            began = time.process_time()
            evaluate(network, dataset, workers=0, further=further)
            taken[name].append((time.process_time() - began) / IMAGES)
    seconds = {name: median(own[1:]) for name, own in taken.items()}  # the first warms up
    for name, own in seconds.items():
        print(f"{name:28} {1000 * own:7.1f} ms an image, {own / seconds['mIoU']:.2f} times")
    values = {"images": IMAGES, "rounds": ROUNDS, "cpu_seconds_an_image": seconds}
    print(write_result("scoring", values))


if __name__ == "__main__":
    main()
