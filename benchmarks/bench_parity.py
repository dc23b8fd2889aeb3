"""Two and four processes against one: every loss and every stateful part, over the same batches.

python benchmarks/bench_parity.py

Each scenario trains one cohort, whose learners are all losses of the table, in float32 and in
float64. In float32 the order of a sum already changes its last digit, and training may multiply
that; in float64 what is left is a difference of definition.
"""

from __future__ import annotations

import functools
import os
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from results_file import write_result
from torch import Tensor, multiprocessing, nn

from segdistill.catalogue.losses import LOSSES
from segdistill.config import RunConfig, Tree, merge
from segdistill.config.loading import check_tree
from segdistill.data.scenes.canvas import CLASSES
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit
from segdistill.training.events import silent
from segdistill.training.prepare import prepare
from segdistill.training.run import prepare_cohort
from segdistill.types import TapMaps

STEPS = int(__import__("os").environ.get("S", 50))
WORLDS = (2, 4)
PRECISIONS: dict[str, Any] = {"float32": "32-true", "float64": "64-true"}
LOSS_BOUND, WEIGHT_BOUND = 1e-5, 1e-4
TAPS = {"backbone": "backbone", "head": "head"}
BASE: Tree = {
    "data": {
        "dataset": "scenes",
        "size": [48, 64],
        "train_images": 24,
        "val_images": 4,
        "batch_size": 8,
        "crop": [32, 48],
        "scale": [0.5, 1.0],  # a part of every crop is padding
    },
    "teacher": {"network": "import:bench_parity:teacher", "taps": TAPS},
    "student": {"network": "import:bench_parity:student", "taps": TAPS},
    "training": {"steps": STEPS, "lr": 0.01, "clip_norm": 1.0, "ema": 0.9, "device": "cpu"},
}
SMALL_QUEUES = {"pixel_queue": 64, "region_queue": 32, "pixels": 4} | {
    "pixel_contrasts": 60,
    "region_contrasts": 30,
}
SETTINGS: dict[str, Tree] = {
    "holistic": {"width": 4},
    "knowledge_adaptation": {"adapter_layers": 1},
    "memory_relations": SMALL_QUEUES,
    "cross_image_relations": SMALL_QUEUES,
}


class Network(nn.Module):
    """Convolutions with batch norm at stride 4, a head, dropout and a classifier.

    It is small because every batch norm has the processes wait for each other.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            _block(3, width, stride=2),
            _block(width, width, stride=2),
            _block(width, width, stride=2),
        )
        self.head = _block(width, width, stride=1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(width, len(CLASSES), kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.head(self.backbone(images))))
        return logits


def student() -> nn.Module:
    """Return the student."""
    return Network(width=8, dropout=0.1)


def teacher() -> nn.Module:
    """Return the teacher, which knows nothing."""
    return Network(width=12, dropout=0.0)


def _block(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=5, stride=stride, padding=2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


WHOLE_BATCH = {"ohem", *(name for name, row in LOSSES.items() if row.whole_batch)}


@dataclass(frozen=True)
class Scenario:
    """A cohort to train.

    Attributes:
        about: what it adds.
        changes: of ``BASE``.
        whole_batch: whether losses of the whole batch are among its learners.
    """

    about: str
    changes: Tree = field(default_factory=dict)
    whole_batch: bool = True


PARTLY_LABELLED: Tree = {
    "dataset": "scenes",
    "size": [48, 64],
    "train_images": 24,
    "per_batch": 4,
    "labels": "teacher",
}
SCENARIOS = {
    "whole": Scenario(
        "half of each batch has no labels but the teacher's; padding, batch norm over processes, "
        "clipping, averaged weights, dropout",
        {"data": {"unlabelled": PARTLY_LABELLED}},
    ),
    "accumulated": Scenario(
        "the same in two parts, one after the other, for the losses that can be split",
        {"data": {"unlabelled": PARTLY_LABELLED}, "training": {"accumulate": 2}},
        whole_batch=False,
    ),
}


def configs_of(scenario: Scenario) -> dict[str, RunConfig]:
    """Return a learner for every loss, and one for every task loss."""
    base = merge(BASE, scenario.changes)
    learners: dict[str, Tree] = {
        "plain": {},
        "focal": {"training": {"task": {"loss": "focal"}}},
        "ohem": {"training": {"task": {"loss": "ohem", "threshold": 0.3, "min_kept": 100}}},
    }
    for name in LOSSES:
        learners[name] = {"distill": [{"loss": name, **SETTINGS.get(name, {})}]}
        if name in ("feature_mse", "feature_mse_terms"):
            learners[name]["distill"][0]["weight"] = 1.0  # 100 diverges with this student
    return {
        name: check_tree(merge(base, changes))
        for name, changes in learners.items()
        if scenario.whole_batch or name not in WHOLE_BATCH
    }


class Wide(nn.Module):
    """A teacher in float64."""

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher.double()

    def forward(self, images: Tensor) -> TapMaps:
        maps: TapMaps = self.teacher(images.double())
        return maps


def train(scenario: Scenario, fabric: Fabric, *, wide: bool) -> dict[str, Any]:
    """Return by learner the losses of every step and what the last left."""
    configs = configs_of(scenario)
    first = next(iter(configs.values()))
    data = build_data(first)
    teacher, learners = prepare_cohort(configs, data, fabric, silent)
    teach: Any = teacher
    if wide and teacher is not None:
        teach = Wide(teacher)
        for learner in learners:
            if learner.averaged is not None:
                learner.averaged.double()
    losses: dict[str, list[dict[str, float]]] = {name: [] for name in configs}
    stages: dict[str, list[float]] = {name: [] for name in configs}

    def after(step: Step) -> bool:
        for name, parts in step.losses.items():
            losses[name].append(dict(parts))
        return True

    for learner in learners:

        def note(
            done: int, steps: int, loss: float, seconds: float, name: str = learner.name
        ) -> None:
            stages[name].append(loss)

        prepare(learner, teach, data.stream, fabric=fabric, after=note)
    fit(
        teach,
        list(learners),
        data.stream,
        fabric=fabric,
        steps=STEPS,
        accumulate=first.training.accumulate,
        after=after,
    )
    return {
        learner.name: {
            "losses": losses[learner.name],
            "stage": stages[learner.name],
            "state": flat(learner.state()),
        }
        for learner in learners
    }


def flat(state: Any, above: str = "") -> dict[str, Tensor]:
    """Return every tensor of nested containers by its path: weights, queues, optimisers."""
    if isinstance(state, Tensor):
        return {above: state.detach().clone()}
    if not isinstance(state, Mapping | list | tuple):
        return {}
    items = state.items() if isinstance(state, Mapping) else enumerate(state)
    found: dict[str, Tensor] = {}
    for key, value in items:
        found |= flat(value, f"{above}/{key}")
    return found


def work(rank: int, world: int, port: int, folder: str) -> None:
    """Be one of several processes, which train every scenario and save what they end with."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(world), "TORCHELASTIC_RUN_ID": "parity"}
    strategy = "ddp" if world > 1 else "auto"
    found = {}
    for precision in PRECISIONS:
        fabric = Fabric(
            accelerator="cpu", devices=world, strategy=strategy, precision=PRECISIONS[precision]
        )
        fabric.launch()
        for name, scenario in SCENARIOS.items():
            found[name, precision] = train(scenario, fabric, wide=precision == "float64")
            print(f"process {rank} of {world}: {name}, {precision}", flush=True)
    torch.save(found, Path(folder) / f"{rank}.pt")


def trained(world: int) -> list[dict[tuple[str, str], Any]]:
    """Train every scenario in some processes, and return what each of them ended with."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(
            functools.partial(work, world=world, port=port, folder=folder), nprocs=world
        )
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(world)]


def errors(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return how far a learner's losses and weights are from those of one process.

    Losses by their size or by 1, whichever is larger, weights and buffers likewise.
    """
    by_step = [
        max(abs(a[part] - b[part]) / max(abs(a[part]), 1.0) for part in a)
        for a, b in zip(one["losses"], other["losses"], strict=True)
    ]
    stage = max(
        (abs(a - b) / max(abs(a), 1.0) for a, b in zip(one["stage"], other["stage"], strict=True)),
        default=None,
    )
    where: dict[str, float] = {}
    for key, tensor in one["state"].items():
        a, b = tensor.double(), other["state"][key].double()
        where[key] = float(((a - b).abs() / a.abs().clamp_min(1.0)).max()) if a.numel() else 0.0
    worst = max(where, key=where.__getitem__)
    return {
        "loss_after_1_step": by_step[0],
        "loss": max(by_step),
        "stage": stage,
        "weights": where[worst],
        "worst": worst,
        "by_step": [float(f"{error:.2g}") for error in by_step],
    }


def main() -> None:
    began = time.perf_counter()
    (one,) = trained(1)
    found: dict[str, Any] = {name: {"about": row.about} for name, row in SCENARIOS.items()}
    for (name, precision), learners in one.items():
        found[name][precision] = {loss: {} for loss in learners}
    for world in WORLDS:
        ranks = trained(world)
        for (name, precision), learners in one.items():
            for loss, alone in learners.items():
                each = [errors(alone, rank[name, precision][loss]) for rank in ranks]
                worst = max(each, key=lambda error: error["loss"] + error["weights"])
                found[name][precision][loss][str(world)] = worst
                print(
                    f"{name} {precision} {world}: {loss:22} {worst['loss_after_1_step']:.1e}, "
                    f"losses {worst['loss']:.1e} weights {worst['weights']:.1e} {worst['worst']}"
                )
        print(f"{time.perf_counter() - began:.0f} s", flush=True)
    print(write_result("parity", {"steps": STEPS, "worst": summary(found), "scenarios": found}))


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return the largest errors by scenario and precision, and whether all are in bounds."""
    worst: dict[str, Any] = {}
    for name in SCENARIOS:
        for precision in PRECISIONS:
            rows = [
                row for by_world in found[name][precision].values() for row in by_world.values()
            ]
            loss, weights = (max(row[key] for row in rows) for key in ("loss", "weights"))
            worst[f"{name}, {precision}"] = {
                "loss": loss,
                "weights": weights,
                "in_bounds": loss <= LOSS_BOUND and weights <= WEIGHT_BOUND,
            }
    return worst


if __name__ == "__main__":
    main()
