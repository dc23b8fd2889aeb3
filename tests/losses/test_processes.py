"""Every loss in two processes with half of a batch each: the mean is that of the whole batch."""

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.testing import assert_close

from segdistill.catalogue.losses import LOSSES
from segdistill.testing import rows
from segdistill.types import Batch

CLASSES = 3


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = rows.build(name, channels=CLASSES, classes=CLASSES, seed=1).double()
    rows.prepare(name, module, data()[1], data()[2], 1)
    return module.eval()  # the batch norm of adapters is the networks' affair


def data() -> tuple[Tensor, Tensor, Batch]:
    """Return four images, of which the first two have less padding than the last two."""
    generator = torch.Generator().manual_seed(3)
    student, teacher = torch.randn(2, 4, CLASSES, 5, 6, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (4, 5, 6), generator=generator)
    valid = torch.ones(4, 5, 6, dtype=torch.bool)
    for image, columns in enumerate((0, 1, 3, 4)):
        valid[image, :, 6 - columns :] = False
    labels[~valid] = 255
    images = torch.randint(0, 256, (4, 3, 5, 6), generator=generator).to(torch.uint8)
    return student, teacher, Batch(images, labels, valid)


def compute(part: slice) -> dict[str, tuple[Tensor, Tensor]]:
    """Return value and gradient by loss for some images of the batch."""
    student, teacher, batch = data()
    batch = Batch(*(x[part] for x in batch))
    results = {}
    for name in LOSSES:
        own = student[part].clone().requires_grad_()
        value = rows.call(name, build(name), own, teacher[part], batch)
        if isinstance(value, dict):
            value = torch.stack(list(value.values())).sum()
        value.backward()
        assert own.grad is not None
        results[name] = (value.detach(), own.grad)
    return results


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    torch.save(compute(slice(2 * rank, 2 * rank + 2)), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, tuple[Tensor, Tensor]]]:
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(functools.partial(work, folder=str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[Tensor, Tensor]]:
    return compute(slice(0, 4))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_global_batch_is_the_unit(
    name: str,
    results: list[dict[str, tuple[Tensor, Tensor]]],
    alone: dict[str, tuple[Tensor, Tensor]],
) -> None:
    value, gradient = alone[name]
    assert_close((results[0][name][0] + results[1][name][0]) / 2, value)
    # Data-parallel training averages the gradients of the parameters over the processes.
    assert_close(torch.cat([result[name][1] for result in results]) / 2, gradient)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_row_says_whether_the_batch_can_be_split(name: str) -> None:
    student, teacher, batch = data()
    batch = batch._replace(valid=torch.ones_like(batch.valid), labels=batch.labels % CLASSES)
    values = []
    for part in (slice(0, 4), slice(0, 2), slice(2, 4)):
        given = Batch(*(x[part] for x in batch))
        value = rows.call(name, build(name), student[part], teacher[part], given)
        values.append(torch.stack(list(value.values())).sum() if isinstance(value, dict) else value)
    whole, mean = values[0], (values[1] + values[2]) / 2
    if name in ("masked_generation", "contrast_groups", "diffusion"):
        return  # each part draws masks or noise of its own
    if name in ("boundary", "feature_augmentation", "channel_memory"):
        return  # on maps this small every position is an edge, and evaluation keeps no statistics
    if name == "memory_relations":
        return  # of one step it is a mean over positions, but the steps fill its queues
    assert bool((whole - mean).abs() > 1e-9 * whole.abs()) == LOSSES[name].whole_batch
