"""Two processes with half of a batch each compute what one does with all of it."""

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing
from torch.testing import assert_close

from segdistill.losses import MemoryRelations, batch_relations
from segdistill.losses.maths.gather import gather_images
from segdistill.types import Batch

CLASSES = 3


def data() -> tuple[Tensor, Tensor, Batch]:
    generator = torch.Generator().manual_seed(3)
    student, teacher = torch.randn(2, 4, 5, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (4, 6, 8), generator=generator)
    return student, teacher, Batch(torch.zeros(4, 3, 6, 8), labels, torch.ones(4, 6, 8).bool())


def compute(part: slice) -> dict[str, Tensor]:
    student, teacher, batch = data()
    student = student[part].requires_grad_()
    teacher, batch = teacher[part], Batch(*(x[part] for x in batch))
    memory = MemoryRelations(
        CLASSES,
        teacher_channels=5,
        pixel_queue=20,
        region_queue=10,
        pixels=4,
        pixel_contrasts=12,
        region_contrasts=7,
    )
    loss = batch_relations(student, teacher)
    loss.backward()
    memory(student, teacher, batch)
    second = memory(student, teacher, batch)
    assert student.grad is not None
    return {
        "loss": loss.detach(),
        "gradient": student.grad,
        "pixels": memory.pixel.queue.vectors,
        "positions": memory.pixel.queue.position,
        "regions": memory.region.queue.vectors,
        "second": torch.stack(list(second.values())).detach(),
    }


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    result = compute(slice(2 * rank, 2 * rank + 2))
    torch.save(result, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(functools.partial(work, folder=str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.long
def test_batch_relations_are_those_of_the_global_batch(results: list[dict[str, Tensor]]) -> None:
    alone = compute(slice(0, 4))
    assert_close((results[0]["loss"] + results[1]["loss"]) / 2, alone["loss"])
    # Data-parallel training averages the gradients of the parameters over the processes.
    gradient = torch.cat([result["gradient"] for result in results]) / 2
    assert_close(gradient, alone["gradient"])


@pytest.mark.long
def test_queues_hold_the_global_batch_in_every_process(results: list[dict[str, Tensor]]) -> None:
    alone = compute(slice(0, 4))
    for name in ("pixels", "positions", "regions"):
        assert_close(results[0][name], results[1][name], rtol=0, atol=0)
        assert_close(results[0][name], alone[name])
    assert_close((results[0]["second"] + results[1]["second"]) / 2, alone["second"])


def test_a_process_alone_gathers_nothing() -> None:
    tensor = torch.rand(2, 3)
    assert gather_images(tensor) is tensor
