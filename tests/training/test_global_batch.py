"""The global batch is the unit: in parts and over processes, every step is that of one alone."""

import functools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, multiprocessing, nn
from torch.testing import assert_close

from segdistill.catalogue.losses import LOSSES
from segdistill.config import RunConfig
from segdistill.config.loading import check_tree
from segdistill.data import Stream
from segdistill.errors import ConfigError
from segdistill.testing import rows
from segdistill.training.cohort import Places, Step, cut, fit
from segdistill.training.devices import build_fabric
from segdistill.training.learner import Learner
from segdistill.training.objective import build_objective
from segdistill.training.prepare import prepare
from segdistill.types import Batch, SegOutput

Make = Callable[..., RunConfig]

CLASSES, LABELLED, UNLABELLED, STEPS = 3, 4, 4, 3
IN_PARTS = sorted(name for name, row in LOSSES.items() if not row.whole_batch)
IN_PROCESSES = ["plain", "focal", "ohem", "dice", "lovasz", *sorted(LOSSES)]
TASKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weighted": {"class_weights": [1.0, 3.0, 0.5], "ignore": [1]},
    "focal": {"loss": "focal", "class_weights": [1.0, 3.0, 0.5]},
    "ohem": {"loss": "ohem", "threshold": 0.3, "min_kept": 30},
    "dice": {"loss": "dice", "class_weights": [1.0, 3.0, 0.5], "cross_entropy_weight": 0.5},
    "lovasz": {"loss": "lovasz", "class_weights": [1.0, 3.0, 0.5]},
}
QUEUES = {"pixel_queue": 20, "region_queue": 10, "pixels": 4} | {
    "pixel_contrasts": 12,
    "region_contrasts": 7,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "holistic": {"width": 4},
    "knowledge_adaptation": {"adapter_layers": 1},
    "memory_relations": QUEUES,
    "cross_image_relations": QUEUES,
}


class Student(nn.Module):
    """A convolution with a norm, dropout, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        convolution = nn.Conv2d(3, CLASSES, kernel_size=3, stride=2, padding=1)
        self.body = nn.Sequential(convolution, nn.BatchNorm2d(CLASSES))
        self.dropout = nn.Dropout(0.2)
        self.logits = nn.Conv2d(CLASSES, CLASSES, kernel_size=1)

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.logits(self.dropout(self.body(images))))


class Teacher(nn.Module):
    """Stands for a frozen teacher with maps at two taps."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = nn.functional.avg_pool2d(images, kernel_size=2)
        return {"body": 3 * maps, "logits": 5 * maps.flip(1)}


class Batches(Stream):
    """Four labelled images and four without, unevenly padded and labelled."""

    def __init__(self) -> None:
        self.batch_size = LABELLED + UNLABELLED
        self.unlabelled = Unlabelled()

    @property
    def steps_per_epoch(self) -> float:
        return 2.0

    def batch(self, k: int, rank: int = 0, world: int = 1) -> Batch:
        generator = torch.Generator().manual_seed(k)
        size = (self.batch_size, 12, 16)
        images = torch.randint(0, 256, (size[0], 3, *size[1:]), generator=generator)
        labels, valid = torch.randint(0, CLASSES, size, generator=generator), torch.ones(size) > 0
        for image in range(self.batch_size):
            valid[image, :, 16 - 4 * (image % 3) :] = False
            labels[image, : 3 * (image % 4)] = 255
        labels[~valid] = 255
        labels[LABELLED:] = 255
        rows = torch.arange(self.batch_size).split([LABELLED, UNLABELLED])
        own = torch.cat([part.chunk(world)[rank] for part in rows])
        return Batch(images.to(torch.uint8)[own], labels[own], valid[own])

    def loader(
        self, start: int, stop: int, workers: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        return (self.batch(k, rank, world) for k in range(start, stop))


class Unlabelled(Stream):
    def __init__(self) -> None:
        self.batch_size, self.unlabelled = UNLABELLED, None


def build(name: str, *, batch_norm: bool) -> Learner:
    terms = []
    if name not in TASKS:
        tap = "logits" if LOSSES[name].tap == "logits" else "body"
        small = rows.small_settings(name, CLASSES) | SETTINGS.get(name, {})
        if LOSSES[name].beside:
            small["beside"] = ["body"] * len(LOSSES[name].beside)
        terms = [{"loss": name, "tap": tap, "project": "none", **small}]
    tree = {
        "data": {"dataset": "scenes", "crop": [12, 16]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": terms,
        "training": {
            "steps": STEPS,
            "lr": 0.05,
            "clip_norm": 5.0,
            "ema": 0.5,
            "task": TASKS.get(name, {}),
        },
    }
    config = check_tree(tree)
    torch.manual_seed(0)
    student = Student()
    channels = {"logits": CLASSES, "body": CLASSES}
    objective = build_objective(
        config.distill,
        student_channels=channels,
        teacher_channels=channels,
        classes=CLASSES,
        auxiliary_weight=0.4,
        label_smoothing=0.0 if name in TASKS else 0.1,
        teacher_labels=True,
        seed=0,
        task=config.training.task,
        class_weights=config.training.task.class_weights,  # type: ignore[arg-type]
        classifier=student.logits,
    )
    if not batch_norm:
        for module in (student.body, *objective.modules()):
            _without_batch_norm(module)
    return Learner("", student, objective, config.training)


def _without_batch_norm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(1, child.num_features))


def train(
    name: str, fabric: Fabric, *, batch_norm: bool = True, accumulate: int = 1
) -> dict[str, Any]:
    """Return the losses of every step and what the last left: weights, queues, critics."""
    learner, teacher, losses = (
        build(name, batch_norm=batch_norm),
        Teacher(),
        list[dict[str, float]](),
    )
    learner.to_device(fabric)
    stages = list[float]()

    def after(step: Step) -> bool:
        losses.append(dict(step.losses[""]))
        return True

    prepare(
        learner,
        teacher,  # type: ignore[arg-type]
        Batches(),
        fabric=fabric,
        after=lambda done, steps, loss, seconds: stages.append(loss),
    )
    fit(
        teacher,  # type: ignore[arg-type]
        [learner],
        Batches(),
        fabric=fabric,
        steps=STEPS,
        accumulate=accumulate,
        after=after,
    )
    state = {**learner.network.state_dict(), **learner.objective.state_dict()}
    return {"losses": losses, "stages": stages, "state": state}


def alone() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def assert_same(one: dict[str, Any], other: dict[str, Any], bound: float = 1e-5) -> None:
    assert one["losses"][0].keys() == other["losses"][0].keys()
    assert_close(one["stages"], other["stages"], rtol=bound, atol=bound)
    for first, second in zip(one["losses"], other["losses"], strict=True):
        assert_close(first, second, rtol=bound, atol=bound)
    for key, value in one["state"].items():
        assert_close(value, other["state"][key], rtol=bound, atol=bound)


@pytest.mark.parametrize("name", ["plain", "weighted", "focal", *IN_PARTS])
def test_a_batch_in_parts_is_the_batch_at_once(name: str) -> None:
    whole = train(name, alone(), batch_norm=False)
    assert_same(whole, train(name, alone(), batch_norm=False, accumulate=4))


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "parts"), [(4, 4, 4), (6, 2, 4), (3, 1, 2), (4, 0, 2)]
)
def test_parts_are_of_one_size_and_share_what_has_labels(
    labelled: int, unlabelled: int, parts: int
) -> None:
    places = Places(torch.arange(labelled), 10 + torch.arange(unlabelled), 10)
    made = cut(places, parts)
    assert len({len(part.rows) for part in made}) == 1
    with_labels = [int((part.places < 10).sum()) for part in made]
    assert max(with_labels) - min(with_labels) <= 1
    assert sorted(torch.cat([part.rows for part in made]).tolist()) == list(
        range(labelled + unlabelled)
    )


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(IN_PARTS)))
def test_a_loss_of_the_whole_batch_is_refused_in_parts(small: Make, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"distill\.0\.loss: .*got {name}, .*accumulate=1"):
        small("training.accumulate=2", distill=[{"loss": name}])


def test_half_precision_of_a_gpu_is_refused_on_a_cpu(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"expected 32-true or bf16-mixed on a CPU, got 16-mixed"):
        small("training.precision=16-mixed", "training.device=cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = small("training.precision=16-mixed", "training.device=auto")
    with pytest.raises(ConfigError, match=r"training\.precision=bf16-mixed"):
        build_fabric(config)


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": Path(folder, "port").read_text(),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
    }
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    results = {name: train(name, fabric) for name in IN_PROCESSES}
    torch.save(results, Path(folder) / f"{rank}.pt")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (folder / "port").write_text(str(free.getsockname()[1]))
    multiprocessing.spawn(functools.partial(work, folder=str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.long
@pytest.mark.parametrize("name", IN_PROCESSES)
def test_two_processes_are_one(name: str, shared: list[dict[str, Any]]) -> None:
    whole = train(name, alone())
    for result in shared:
        assert_same(whole, result[name])
