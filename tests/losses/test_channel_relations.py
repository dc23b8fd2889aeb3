"""Channel relations and memory: the equation in plain loops, the queue, gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import ChannelMemory, ChannelRelations, channel_relations


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def unit(vector: list[float]) -> list[float]:
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector]


def cells(channel: Tensor, pool: int) -> list[float]:
    height, width = channel.shape
    return unit(
        [
            float(channel[i : i + pool, j : j + pool].mean())
            for i in range(0, height, pool)
            for j in range(0, width, pool)
        ]
    )


def row_kl(ours: list[float], theirs: list[float], temperature: float) -> float:
    logs = []
    for scores in (ours, theirs):
        norm = math.log(sum(math.exp(x / temperature) for x in scores))
        logs.append([x / temperature - norm for x in scores])
    return sum(math.exp(q) * (q - p) for p, q in zip(*logs, strict=True))


def products(vector: list[float], others: list[list[float]]) -> list[float]:
    return [sum(a * b for a, b in zip(vector, other, strict=True)) for other in others]


@pytest.mark.parametrize(("pool", "size"), [(1, (2, 3)), (2, (3, 5))])
def test_equals_the_equation(pool: int, size: tuple[int, int]) -> None:
    student, teacher = maps(3, 4, *size, seed=1), maps(3, 4, *size, seed=2)
    ours, theirs = ([[cells(c, pool) for c in image] for image in z] for z in (student, teacher))
    total = 0.0
    for i in range(3):
        for j in range(3):
            for c in range(4):
                total += row_kl(
                    products(ours[i][c], ours[j]), products(theirs[i][c], theirs[j]), 0.3
                )
    expected = torch.tensor(total / (9 * 4), dtype=torch.float64)
    loss = channel_relations(student, teacher, pool=pool, temperature=0.3)
    assert_close(loss, expected)
    assert_close(ChannelRelations(pool, 0.3)(student, teacher), expected)


def test_cells_are_means_of_what_is_valid() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    valid = torch.ones(2, 4, 5, dtype=torch.bool)
    valid[:, :, 3:] = False
    cut = channel_relations(student[..., :3], teacher[..., :3], pool=2)
    assert_close(channel_relations(student, teacher, pool=2, valid=valid), cut)


def test_gradient_is_right() -> None:
    student, teacher = maps(2, 3, 3, 4, seed=1).requires_grad_(), maps(2, 3, 3, 4, seed=2)
    assert torch.autograd.gradcheck(
        lambda s: channel_relations(s, teacher, pool=2, temperature=0.5), student
    )


def memory(**settings: int) -> ChannelMemory:
    given = {"queue": 12, "pushed": 3, "contrasts": 5, **settings}
    return ChannelMemory(temperature=0.3, grid=(2, 2), seed=1, **given).double()


def test_memory_equals_the_equation_on_what_it_draws() -> None:
    module = memory().eval()
    student, teacher = maps(2, 3, 4, 4, seed=1), maps(2, 3, 4, 4, seed=2)
    drawn = module.queue.draw(5, seed=1, step=0).tolist()
    ours, theirs = ([cells(c, 2) for image in z for c in image] for z in (student, teacher))
    values = [
        row_kl(products(x, drawn), products(y, drawn), 0.3)
        for x, y in zip(ours, theirs, strict=True)
    ]
    expected = torch.tensor(sum(values) / len(values), dtype=torch.float64)
    assert_close(module(student, teacher), expected)


def test_memory_pushes_the_teachers_channels_before_it_draws_and_wraps() -> None:
    module = memory(contrasts=12)
    before = module.queue.vectors.clone()
    teacher = maps(2, 3, 4, 4, seed=2)
    known = {tuple(round(v, 9) for v in cells(c, 2)) for image in teacher for c in image}
    for step in range(1, 6):
        module(maps(2, 3, 4, 4, seed=step), teacher)
        assert module.steps.value == step
        held = {tuple(round(v, 9) for v in row) for row in module.queue.vectors[0].tolist()}
        assert len(held & known) >= min(3, len(held))
    assert int(module.queue.position) == 15 % 12
    assert not torch.equal(before, module.queue.vectors)
    held = [tuple(round(v, 9) for v in row) for row in module.queue.vectors[0].tolist()]
    assert all(row in known for row in held)


def test_memory_goes_on_from_a_checkpoint() -> None:
    one, other = memory(), memory()
    student, teacher = maps(2, 3, 4, 4, seed=1), maps(2, 3, 4, 4, seed=2)
    one(student, teacher)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(student, teacher), other(student, teacher))
    assert torch.equal(one.queue.vectors, other.queue.vectors)


def test_refuses_to_draw_more_than_it_holds() -> None:
    with pytest.raises(ValueError, match=r"expected a queue of at least 20 channels, got 12"):
        memory(contrasts=20)
