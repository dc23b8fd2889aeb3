"""How far the papers' methods were off, and are: before and after each mending, on the same maps.

    python benchmarks/bench_papers.py

Before is computed here by the rule of commit e132dc0 (the critic's probabilities, means of parts,
padding counted, half-precision maps resized before they are upcast, recipes as they were), after by
the package. Nothing is trained.
"""

from __future__ import annotations

import subprocess
from typing import Any

import torch
from results_file import write_result
from torch import Tensor
from torch.nn import functional as F

from segdistill.config import TaskConfig
from segdistill.config.loading import read
from segdistill.delivery.cost import count, count_as_cirkd
from segdistill.losses import (
    batch_relations,
    channel_angular,
    channelwise_kl,
    feature_mse,
    layer_angular,
    pixelwise_kl,
    resize_like,
)
from segdistill.losses.holistic import Holistic
from segdistill.models import build_network
from segdistill.training.task_loss import TaskLoss
from segdistill.types import Batch
from segdistill.yaml_text import load_yaml

BEFORE = "e132dc09cc97e85d13fc65f4dadbaaa260576be1"
CLASSES, IGNORED = 19, 255
COUNTED = {
    "papers/skd": ((512, 1024), "with auxiliary", CLASSES, (70.43, 574.9)),
    "papers/cirkd": ((1024, 2048), "cirkd", CLASSES, (61.1, 2371.7)),
    "papers/ka": ((513, 513), "operations", 21, (26.82, 90.24)),
}
"""Size, way of counting, classes and the paper's figures of a recipe's teacher."""


def main() -> None:
    torch.manual_seed(0)
    parts: dict[str, Any] = {
        "critic": critic(),
        "parts_of_a_batch": parts_of_a_batch(),
        "padding": padding(),
        "half_precision": half_precision(),
        "teachers": {name: teachers(name) for name in COUNTED},
    }
    for name, value in parts.items():
        print(name, value, flush=True)
    print(write_result("papers", {"before": BEFORE, **parts}))


def critic() -> dict[str, float]:
    """Return the norm of the student's gradient through a critic of logits and of probabilities."""
    logits, images = smooth(2, CLASSES, 64, 64), torch.rand(2, 3, 64, 64)
    batch = Batch(images, torch.zeros(2, 64, 64, dtype=torch.int64), torch.ones(2, 64, 64).bool())
    norms = {}
    for name, softmax in (("before", True), ("after", False)):
        torch.manual_seed(0)
        module = Holistic(CLASSES, softmax=softmax).eval()
        student = logits.clone().requires_grad_()
        module(student, logits.flip(0), batch).backward()
        assert student.grad is not None
        norms[name] = float(student.grad.norm())
    return norms | {"ratio": norms["after"] / norms["before"]}


def parts_of_a_batch() -> dict[str, Any]:
    """Return what a batch of four is by itself, and as the mean of four parts of one image."""
    logits, labels = smooth(4, CLASSES, 32, 32), torch.randint(0, CLASSES, (4, 32, 32))
    for image, share in enumerate((0.0, 0.2, 0.6, 0.9)):
        labels[image][torch.rand(32, 32) < share] = IGNORED
    student, teacher = smooth(4, 32, 16, 16), smooth(4, 32, 16, 16)

    def mean_of_parts(loss: Any, *maps: Tensor) -> float:
        return float(torch.stack([loss(*(m[i : i + 1] for m in maps)) for i in range(4)]).mean())

    def cross_entropy(one: Tensor, truth: Tensor) -> Tensor:
        return F.cross_entropy(one, truth, ignore_index=IGNORED)

    return {
        "cross_entropy": {
            "whole": float(cross_entropy(logits, labels)),
            "before": mean_of_parts(cross_entropy, logits, labels),
            "after": accumulated(logits, labels),
        },
        "batch_relations": {
            "whole": float(batch_relations(student, teacher)),
            "before": mean_of_parts(batch_relations, student, teacher),
            "after": "refused with accumulate",
        },
    }


def accumulated(logits: Tensor, labels: Tensor) -> float:
    """Return the sum of the shares that the package's own task loss takes of each part."""
    loss = TaskLoss(TaskConfig(), CLASSES)
    shares = [loss(logits[i : i + 1], labels[i : i + 1], whole=labels) for i in range(4)]
    return float(torch.stack(shares).sum())


def padding() -> dict[str, Any]:
    """Return what padded positions do to losses of a crop of which they are a tenth.

    Each value is that of the whole map over that of its valid part, both as the loss itself
    computes them: 1 where padding changes nothing. A padded position shows the mean colour to
    both networks, so its features are alike everywhere: here one vector for each network.
    """
    student, teacher = smooth(2, CLASSES, 40, 40), smooth(2, CLASSES, 40, 40)
    valid = torch.ones(2, 40, 40, dtype=torch.bool)
    valid[:, 36:] = False
    for maps in (student, teacher):
        maps.copy_(torch.where(valid[:, None], maps, torch.randn(1, CLASSES, 1, 1)))
    found = {}
    for loss in (pixelwise_kl, channelwise_kl, feature_mse, layer_angular, channel_angular):
        found[loss.__name__] = float(loss(student, teacher) / loss(student, teacher, valid=valid))
    return {"padded": float(1 - valid.float().mean()), "counted_over_masked": found}


def half_precision() -> dict[str, float]:
    """Return the largest error of a bfloat16 map that is resized, over its largest value."""
    exact = smooth(1, CLASSES, 32, 32)
    stored, like = exact.bfloat16(), torch.zeros(1, CLASSES, 61, 61)
    truth = resize_like(stored.double(), like.double())
    before = F.interpolate(stored, size=(61, 61), mode="bilinear").double()

    def error(maps: Tensor) -> float:
        return float((maps.double() - truth).abs().max() / truth.abs().max())

    return {"before": error(before), "after": error(resize_like(stored, like))}


def teachers(name: str) -> dict[str, Any]:
    """Return parameters and operations of a recipe's teacher, then and now, and as printed."""
    size, counting, classes, printed = COUNTED[name]
    old = subprocess.run(
        ["git", "show", f"{BEFORE}:src/segdistill/recipes/{name}.yaml"],
        capture_output=True,
        text=True,
        check=True,
    )
    trees = {"before": load_yaml(old.stdout)["teacher"], "after": read(name)["teacher"]}
    found: dict[str, Any] = {"printed": {"params_m": printed[0], "g": printed[1]}}
    for when, tree in trees.items():
        settings = {key: value for key, value in tree.items() if key not in ("weights", "taps")}
        if name == "papers/ka":
            settings["output_stride"] = 16  # what the printed figure is of; docs/networks.md
        network = build_network(settings, classes=classes, seed=0)
        if counting == "cirkd":
            cost = count_as_cirkd(network, size)
        else:
            cost = count(network, size, auxiliary=counting == "with auxiliary")
        operations = cost.gflops if counting == "operations" else cost.gmacs
        found[when] = {"params_m": cost.params_m, "g": operations}
    return found


def smooth(images: int, channels: int, height: int, width: int) -> Tensor:
    """Return maps that vary slowly, as a network's do, with a deviation of about 3."""
    coarse = torch.randn(images, channels, height // 4, width // 4)
    maps = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    return 3 * maps / maps.std()


if __name__ == "__main__":
    main()
