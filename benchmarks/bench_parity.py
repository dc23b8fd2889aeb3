"""Two and four processes against one: every loss and every stateful part, over the same batches.

python benchmarks/bench_parity.py

Each scenario trains one cohort, whose learners are all losses of the table, in float32 and in
float64. In float32 the order of a sum already changes its last digit, and training may multiply
that; in float64 what is left is a difference of definition.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from results_file import FOLDER, write_result
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

PRECISIONS: dict[str, Any] = {"float64": "64-true", "float32": "32-true"}
LOSS_BOUND, WEIGHT_BOUND = 1e-5, 1e-4
TAPS = {"backbone": "backbone", "head": "head"}
BASE: Tree = {
    "data": {
        "dataset": "scenes",
        "size": [32, 48],
        "train_images": 24,
        "val_images": 4,
        "batch_size": 8,
        "crop": [24, 32],
        "scale": [0.5, 1.0],  # a part of every crop is padding
    },
    "teacher": {"network": "import:bench_parity:teacher", "taps": TAPS},
    "student": {"network": "import:bench_parity:student", "taps": TAPS},
    "training": {"steps": 50, "lr": 0.01, "clip_norm": 1.0, "ema": 0.9, "device": "cpu"},
}
SMALL_QUEUES = {"pixel_queue": 64, "region_queue": 32, "pixels": 4} | {
    "pixel_contrasts": 60,
    "region_contrasts": 30,
}
SETTINGS: dict[str, Tree] = {
    "contrast_groups": {"groups": 4},
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


def still_student() -> nn.Module:
    """Return the student without dropout, which no two kinds of device draw alike."""
    return Network(width=8, dropout=0.0)


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
    "size": [32, 48],
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
        steps=first.training.steps,
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


def work(rank: int, world: int, port: int, precision: str, names: list[str], folder: str) -> None:
    """Be one of several processes, which train some scenarios and save what they end with."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(world), "TORCHELASTIC_RUN_ID": "parity"}
    strategy = "ddp" if world > 1 else "auto"
    fabric = Fabric(
        accelerator="cpu", devices=world, strategy=strategy, precision=PRECISIONS[precision]
    )
    fabric.launch()
    found = {name: train(SCENARIOS[name], fabric, wide=precision == "float64") for name in names}
    torch.save(found, Path(folder) / f"{rank}.pt")


def trained(world: int, precision: str, names: list[str]) -> list[dict[str, Any]]:
    """Train scenarios in some processes, and return what each of them ended with."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        task = functools.partial(
            work, world=world, port=port, precision=precision, names=names, folder=folder
        )
        # Forked: what is imported is imported once.
        multiprocessing.start_processes(task, nprocs=world, start_method="fork")
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
    words = argparse.ArgumentParser()
    words.add_argument("--steps", type=int, default=50)
    words.add_argument("--worlds", type=int, nargs="+", default=[2, 4])
    words.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    words.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    words.add_argument("--name", default="parity")
    words.add_argument("--add", action="store_true", help="keep the rows of the last call")
    asked = words.parse_args()
    BASE["training"]["steps"] = asked.steps
    found: dict[str, Any] = {}
    if asked.add:
        last = json.loads((FOLDER / f"{asked.name}.json").read_text(encoding="utf-8"))
        if last["steps"] != asked.steps:
            words.error(f"--add: expected --steps {last['steps']}, as of the last call")
        found = last["errors"]
    for precision in asked.precisions:
        (one,) = trained(1, precision, asked.scenarios)
        for world in asked.worlds:
            ranks = trained(world, precision, asked.scenarios)
            for name, learners in one.items():
                row = f"{name}, {precision}, {world} processes"
                found[row] = compared(learners, [rank[name] for rank in ranks])
                print(row, found[row]["worst"], flush=True)
            about = {name: SCENARIOS[name].about for name in asked.scenarios}
            bounds = {"loss": LOSS_BOUND, "weights": WEIGHT_BOUND}
            values = {"steps": asked.steps, "about": about, "bounds": bounds}
            values["errors"] = found
            print(write_result(asked.name, values), flush=True)


def compared(alone: dict[str, Any], ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the errors of every learner, in the process that is furthest off, and the largest."""
    by_loss = {}
    for name, one in alone.items():
        each = [errors(one, rank[name]) for rank in ranks]
        by_loss[name] = max(each, key=lambda error: error["loss"] + error["weights"])
    loss, weights = (max(row[key] for row in by_loss.values()) for key in ("loss", "weights"))
    bound = loss <= LOSS_BOUND and weights <= WEIGHT_BOUND
    return {"worst": {"loss": loss, "weights": weights, "in_bounds": bound}, "losses": by_loss}


if __name__ == "__main__":
    main()
