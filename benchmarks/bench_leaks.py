"""Memory, open files and threads of a long run with everything that may hold on to something.

``python benchmarks/bench_leaks.py`` trains 5,000 steps of a tiny cohort with two loader workers,
scores and saves it every hundred steps, and writes a report every 250; a twentieth of the steps
are samples of the process's memory. ``nice -n 10`` keeps it out of the way.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from results_file import write_result

from segdistill.api.distill import distill
from segdistill.api.report import report
from segdistill.training.events import Event, Progress

IMAGES = 12
REPORT_EVERY = 250
WARM_UP = 0.2  # of the steps
RUN: dict[str, Any] = {
    "data": {
        "dataset": "folder",
        "batch_size": 2,
        "crop": [32, 32],
        "scale": [0.5, 2.0],
        "workers": 2,
    },
    "teacher": {
        "network": "fcn",
        "backbone": "resnet10t",
        "output_stride": 16,
        "width": 8,
        "untrained": True,
    },
    "student": {"network": "lraspp", "backbone": "mobilenetv2_035", "output_stride": 16},
    "distill": [{"loss": "pixelwise_kl"}],
    "training": {"checkpoint_every": 100, "evaluate_every": 100, "log_every": 20, "device": "cpu"},
    "evaluation": {"pictures": 2},
}


def main() -> None:
    """Train, and write ``results/leaks.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="leaks-") as place:
        samples = train(Path(place), options.steps)
    write_result("leaks", {"steps": options.steps, "run": RUN} | summarize(samples))


def train(root: Path, steps: int) -> list[dict[str, float]]:
    """Train in a folder, and return what the process held on its way."""
    draw(root / "photos")
    file = root / "run.yaml"
    tree = RUN | {"data": RUN["data"] | {"root": str(root / "photos")}}
    file.write_text(yaml.safe_dump(tree))
    (other,) = distill(file, root / "other", overrides=["training.steps=40"])
    samples: list[dict[str, float]] = []
    began = time.monotonic()

    def tell(event: Event) -> None:
        if not isinstance(event, Progress) or not event.stage.startswith("training"):
            return
        if event.done % REPORT_EVERY < RUN["training"]["log_every"]:
            report(other, root / "pages" / "page.html")
        samples.append({"step": event.done, **held()})
        if event.done % 500 == 0:
            print(f"{time.monotonic() - began:7.1f} s  {samples[-1]}", flush=True)

    distill(file, root / "run", overrides=[f"training.steps={steps}"], tell=tell)
    return samples


def held() -> dict[str, float]:
    """Return the memory in MiB, open files and threads of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in status if ":" in line)
    return {
        "resident_mib": round(int(values["VmRSS"].split()[0]) / 1024, 2),
        "open_files": len(os.listdir("/proc/self/fd")),
        "threads": int(values["Threads"]),
    }


def summarize(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Compare the end with what was held after the warm-up."""
    last = samples[-1]["step"]
    after = [each for each in samples if each["step"] > WARM_UP * last]
    tenth = max(len(after) // 8, 1)  # a tenth of all steps
    first, final = after[:tenth], after[-tenth:]

    def middle(part: list[dict[str, float]], key: str) -> float:
        return statistics.median(each[key] for each in part)

    growth = middle(final, "resident_mib") / middle(first, "resident_mib") - 1
    slope = np.polyfit(
        [each["step"] for each in after], [each["resident_mib"] for each in after], 1
    )[0]
    return {
        "warm_up_steps": int(WARM_UP * last),
        "resident_mib_after_warm_up": middle(first, "resident_mib"),
        "resident_mib_at_the_end": middle(final, "resident_mib"),
        "growth_percent": round(100 * growth, 3),
        "mib_per_1000_steps": round(1000 * float(slope), 3),
        "open_files": [middle(first, "open_files"), middle(final, "open_files")],
        "threads": [middle(first, "threads"), middle(final, "threads")],
        "samples": samples,
    }


def draw(root: Path) -> None:
    """Draw a folder of images and masks of three classes."""
    draws = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(IMAGES):
            image = draws.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            for kind, picture in (("images", image), ("masks", (image[..., 0] // 100))):
                file = root / split / kind / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture.astype(np.uint8)).save(file)
    (root / "classes.txt").write_text("low\nmiddle\nhigh\n")


if __name__ == "__main__":
    main()
