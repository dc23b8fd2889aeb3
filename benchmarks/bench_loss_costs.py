"""Time and memory of every row of the table of losses at the standard map, as users are told.

    python benchmarks/bench_loss_costs.py [--only boundary ...]

Forward and backward of the module with the table's settings, projectors and the stage before
training left out, on one thread: logits of 19 classes, or features of 512 channels, of 2 images of
64×128 positions. Milliseconds are of the processor, the median of at least three runs (of one,
where it takes over ten seconds); MiB are what a fresh process needs above its inputs. Rows that
the result file has are kept unless ``--only`` names them, so it can be stopped and gone on with. It
needs Linux, whose peak of memory can be begun anew.
Writes ``results/loss_costs.json``, and the numbers alone to ``catalogue/loss_costs.json``, which
``segdistill list losses --verbose`` and the documentation read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from results_file import FOLDER, write_result

from segdistill.catalogue.losses import LOSSES
from segdistill.files import read_json, write_whole
from segdistill.testing import rows
from segdistill.types import Batch

CLASSES, CHANNELS, PLACES = 19, 512, (64, 128)
STRIDE, AT_LABELS = 8, {"boundary"}
"""The losses that work at the size of the labels get those of images at this stride."""
CATALOGUE = Path(__file__).parents[1] / "src" / "segdistill" / "catalogue" / "loss_costs.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(LOSSES), default=[])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one is not None:
        print(json.dumps(measure(words.one)))
        return
    for name in LOSSES:
        if name in finished() and name not in words.only:
            continue
        # Freed memory goes back at once, so that a peak is what was held.
        environment = dict(os.environ, OMP_NUM_THREADS="1", MALLOC_MMAP_THRESHOLD_="65536")
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found = finished() | {name: json.loads(done.stdout.splitlines()[-1])}
        print(name, found[name], flush=True)
        write_result("loss_costs", {"losses": {key: found[key] for key in LOSSES if key in found}})
        costs = {key: {"ms": found[key]["ms"], "mib": found[key]["mib"]} for key in sorted(found)}
        write_whole(CATALOGUE, json.dumps(costs, indent=1) + "\n")


def finished() -> dict[str, Any]:
    """Return the rows of the result file, by name."""
    file = FOLDER / "loss_costs.json"
    return dict(read_json(file)["losses"]) if file.exists() else {}


def measure(name: str) -> dict[str, Any]:
    """Return what one loss costs in this process."""
    torch.set_num_threads(1)
    logits = LOSSES[name].tap == "logits"
    run(name, (2, CLASSES if logits else 48, 16, 16))  # libraries and kernels
    seconds = run(name, (2, CLASSES if logits else CHANNELS, *PLACES), repeats=3)
    return {
        "ms": round(1000 * statistics.median(seconds["seconds"]), 1),
        "mib": round(seconds["peak"] - seconds["held"], 1),
        "runs": len(seconds["seconds"]),
        "map": [2, CLASSES if logits else CHANNELS, *PLACES],
        "load": round(os.getloadavg()[0], 1),
    }


def run(name: str, shape: tuple[int, ...], repeats: int = 1) -> dict[str, Any]:
    """Compute a loss and its gradient; return the seconds and the peak of memory in MiB."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(shape, generator=generator).relu_() for _ in range(2))
    stride = STRIDE if name in AT_LABELS else 1
    size = [stride * side for side in shape[2:]]
    labels = torch.randint(0, CLASSES, (shape[0], *size), generator=generator)
    images = torch.zeros(shape[0], 3, *size, dtype=torch.uint8)
    batch = Batch(images, labels, torch.ones_like(labels, dtype=torch.bool))
    module = rows.build(name, channels=shape[1], classes=CLASSES, small=False)
    if LOSSES[name].prepares:  # as if it had been: the stage is no part of a step
        module.prepared.value = module.planned.value = 1  # type: ignore[union-attr]
    student.requires_grad_()
    # A queue takes more while it is made than when it is there: the peak begins here.
    Path("/proc/self/clear_refs").write_text("5")
    held, seconds, top = peak(), [], 0.0
    for _ in range(repeats):
        student.grad = None
        began = time.process_time()
        value = rows.call(name, module, student, teacher, batch)
        parts = list(value.values()) if isinstance(value, dict) else [value]
        torch.stack(parts).sum().backward()
        seconds.append(time.process_time() - began)
        top = top or peak()
        del value, parts
        if seconds[0] > 10:
            break
    return {"seconds": seconds, "held": held, "peak": top}


def peak() -> float:
    """Return the most memory that this process has held since the peak was begun, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**10


if __name__ == "__main__":
    main()
