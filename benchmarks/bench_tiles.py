"""Losses and scores of logits at full size, by tiles against the maps of full size.

    python benchmarks/bench_tiles.py [--rounds 3]

One thread. Times are CPU seconds, both forms in turn; peak memory is what a form needs above its
inputs, in a process of its own whose freed memory goes back at once. The direct forms are what
the package did before, or what one would write down. Targets: losses at least 2 times faster,
forward and backward, with 10 times less memory; scoring 2 times faster with 5 times less; windows
on an image of 100 megapixels below 2 GiB with the image.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.losses import upsampled_cross_entropy, upsampled_kl
from segdistill.memory import peak_memory
from segdistill.scoring.confusion import image_confusions
from segdistill.scoring.inference import predict_ids
from segdistill.types import SegOutput
from segdistill.upsampling import argmax_at

LARGE = (100_000_000 // 10_000, 10_000)
STREET, SCENES = ((2, 19, 128, 256), (1024, 2048)), ((2, 150, 64, 64), (512, 512))
ONE_STREET = ((1, 19, 128, 256), (1024, 2048))
Shape = tuple[tuple[int, ...], tuple[int, int]]


@dataclass(frozen=True)
class Inputs:
    """Logits at stride 8, and what they are compared with at full size."""

    logits: Tensor
    teacher: Tensor
    labels: Tensor
    image: Tensor
    size: tuple[int, int]


def make(shape: Shape) -> Inputs:
    logits, size = shape
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(logits, generator=generator) for _ in range(2))
    labels = torch.randint(logits[1], (logits[0], *size), generator=generator)
    labels[:, : size[0] // 8] = 255
    image = torch.randint(256, (1, 3, *size), generator=generator, dtype=torch.uint8)
    return Inputs(student, teacher, labels, image, size)


def resized(maps: Tensor, x: Inputs) -> Tensor:
    return F.interpolate(maps, x.size, mode="bilinear")


def gradient(x: Inputs, loss: Callable[[Tensor], Tensor]) -> Tensor:
    logits = x.logits.detach().requires_grad_()
    loss(logits).backward()
    assert logits.grad is not None
    return logits.grad


def direct_cross_entropy(x: Inputs) -> Tensor:
    return gradient(x, lambda z: F.cross_entropy(resized(z, x), x.labels, ignore_index=255))


def tiled_cross_entropy(x: Inputs) -> Tensor:
    return gradient(x, lambda z: upsampled_cross_entropy(z, x.labels))


def direct_kl(x: Inputs) -> Tensor:
    def loss(logits: Tensor) -> Tensor:
        log_s = F.log_softmax(resized(logits, x), dim=1)
        p = F.softmax(resized(x.teacher, x), dim=1)
        return F.kl_div(log_s, p, reduction="sum") / p[:, 0].numel()

    return gradient(x, loss)


def tiled_kl(x: Inputs) -> Tensor:
    return gradient(x, lambda z: upsampled_kl(z, x.teacher, size=x.size))


def masks(x: Inputs) -> Tensor:
    return x.labels.to(torch.uint8)  # as evaluation reads them


def direct_scores(x: Inputs) -> Tensor:
    prediction, classes = resized(x.logits, x).max(dim=1).indices, x.logits.shape[1]
    truth = masks(x).long()
    known = truth != 255
    for ids in (truth[known], prediction):
        assert ids[(ids < 0) | (ids >= classes)].numel() == 0
    cells = torch.where(known, truth, classes) * classes + prediction
    counts = torch.bincount(cells.flatten(), minlength=(classes + 1) * classes)
    return counts.reshape(1, classes + 1, classes)[:, :classes]


def tiled_scores(x: Inputs) -> Tensor:
    return image_confusions(argmax_at(x.logits, x.size), masks(x), classes=x.logits.shape[1])


class Coarse(nn.Module):
    """A network of stride 8 whose own time and memory are small: what follows it is measured."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 19, 8, stride=8)

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.convolution(images))


SCALES = (0.5, 1.0, 1.5)


@torch.inference_mode()
def direct_scales(x: Inputs) -> Tensor:
    network, image, total = Coarse().eval(), x.image.float() / 255, None
    for scale in SCALES:
        size = [round(scale * side) for side in x.size]
        view = F.interpolate(image, size, mode="bilinear", antialias=scale < 1)
        for mirrored in (False, True):
            logits = network(view.flip(-1) if mirrored else view).logits
            p = resized(logits, x).softmax(dim=1)
            p = p.flip(-1) if mirrored else p
            total = p if total is None else total.add_(p)
    assert total is not None
    return (total / (2 * len(SCALES))).max(dim=1).indices


@torch.inference_mode()
def tiled_scales(x: Inputs) -> Tensor:
    return predict_ids(Coarse().eval(), x.image, scales=SCALES, flip=True)[0]


@dataclass(frozen=True)
class Case:
    """Two forms of one computation and what is asked of the first."""

    tiled: Callable[[Inputs], Tensor]
    direct: Callable[[Inputs], Tensor]
    shape: Shape
    least_saving: float


CASES = {
    "cross entropy, street": Case(tiled_cross_entropy, direct_cross_entropy, STREET, 10),
    "cross entropy, 150 classes": Case(tiled_cross_entropy, direct_cross_entropy, SCENES, 10),
    "KL, street": Case(tiled_kl, direct_kl, STREET, 10),
    "KL, 150 classes": Case(tiled_kl, direct_kl, SCENES, 10),
    "confusion matrix, street": Case(tiled_scores, direct_scores, ONE_STREET, 5),
    "three scales and flip, street": Case(tiled_scales, direct_scales, ONE_STREET, 5),
}


def measure_seconds(name: str, rounds: int) -> dict[str, object]:
    case = CASES[name]
    forms = {"tiled": case.tiled, "direct": case.direct}
    images, classes = case.shape[0][:2]
    small = make(((images, classes, 4, 6), (32, 48)))
    results = {side: form(small).double() for side, form in forms.items()}
    difference = (results["tiled"] - results["direct"]).norm() / results["direct"].norm()
    x = make(case.shape)
    seconds: dict[str, list[float]] = {side: [] for side in forms}
    for _ in range(rounds):
        for side, form in forms.items():
            start = time.process_time()
            form(x)
            seconds[side].append(time.process_time() - start)
    return {"all_seconds": seconds, "relative_difference": float(difference)}


def measure_peaks(name: str) -> dict[str, float | None]:
    case = CASES[name]
    x = make(case.shape)
    peaks = {}
    for side, form in (("tiled", case.tiled), ("direct", case.direct)):
        with peak_memory(x.logits.device) as peak:
            form(x)
        peaks[side] = peak.mib
    return peaks


@torch.inference_mode()
def large_image() -> dict[str, float | None]:
    image = torch.randint(256, (1, *LARGE, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    start = time.process_time()
    with peak_memory(image.device) as peak:
        predict_ids(Coarse().eval(), image, window=(1024, 1024))
    seconds = time.process_time() - start
    return {"seconds": seconds, "above_image_mib": peak.mib, "image_mib": image.numel() / 2**20}


def work(what: str, names: list[str], rounds: int) -> dict[str, object]:
    """Measure one quantity of some cases in this process."""
    torch.set_num_threads(1)
    if what == "large":
        return dict(large_image())
    if what == "seconds":
        return {name: measure_seconds(name, rounds) for name in names}
    return {name: measure_peaks(name) for name in names}


def in_fresh_process(what: str, names: list[str], rounds: int) -> dict[str, Any]:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if what != "seconds":
        # Freed memory goes back at once, so that a peak is what was held, not what was left over.
        environment["MALLOC_MMAP_THRESHOLD_"] = "65536"
    command = [sys.executable, __file__, "--job", json.dumps([what, names, rounds])]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))


def summary(name: str, timed: dict[str, Any], peak: dict[str, float]) -> dict[str, object]:
    case = CASES[name]
    median = {side: statistics.median(values) for side, values in timed["all_seconds"].items()}
    speedup, saving = median["direct"] / median["tiled"], peak["direct"] / peak["tiled"]
    return timed | {
        "case": name,
        "logits": case.shape[0],
        "size": case.shape[1],
        "seconds": median,
        "peak_mib": peak,
        "faster": speedup,
        "less_memory": saving,
        "target": f"at least 2 times faster, {case.least_saving:g} times less memory",
        "met": speedup >= 2 and saving >= case.least_saving,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CASES, help="measure these again")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.job:
        print(json.dumps(work(*json.loads(words.job))))
        return
    load = os.getloadavg()
    names = words.only or [*CASES]
    peaks = in_fresh_process("peaks", names, 1)
    seconds = in_fresh_process("seconds", names, words.rounds)
    rows = [summary(name, seconds[name], peaks[name]) for name in names]
    for row in rows:
        print(json.dumps(row))
    from results_file import FOLDER, write_result  # loads what is no part of what is measured

    file = FOLDER / "tiles.json"
    before = json.loads(file.read_text()) if words.only and file.exists() else {"rows": []}
    rows += [row for row in before["rows"] if row["case"] not in names]
    large = before.get("windows_on_100_megapixels") or in_fresh_process("large", [], 1)
    print(json.dumps(large))
    values = {"threads": 1, "rows": rows, "windows_on_100_megapixels": large}
    print(write_result("tiles", values | {"load_average_before": load}))


if __name__ == "__main__":
    main()
