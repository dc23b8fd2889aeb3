"""Memory relations: the equation in plain loops, the order of use and push, resume."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import (
    CrossImageRelations,
    MemoryRelations,
    batch_relations,
    memory_relations,
    resize_valid,
)
from segdistill.types import Batch

CLASSES = 3
SMALL = {"pixel_queue": 30, "region_queue": 10, "pixels": 4, "pixel_contrasts": 12}


def rows(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def scene(seed: int = 0) -> tuple[Tensor, Tensor, Batch]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (2, 6, 8), generator=generator)
    valid = torch.ones(2, 6, 8, dtype=torch.bool)
    valid[:, :, 6:] = False
    batch = Batch(torch.zeros(2, 3, 6, 8), labels, valid)
    return rows(2, 5, 3, 4, seed=seed + 1), rows(2, 5, 3, 4, seed=seed + 2), batch


def build(**settings: float) -> MemoryRelations:
    return MemoryRelations(CLASSES, 5, region_contrasts=7, **{**SMALL, **settings}).double()  # type: ignore[arg-type]


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(v * v for v in vector))
    return [v / length for v in vector]


def reference(student: Tensor, teacher: Tensor, contrast: Tensor, temperature: float) -> float:
    contrasts = [unit(vector) for vector in contrast.tolist()]

    def distribution(anchor: list[float]) -> list[float]:
        anchor = unit(anchor)
        dots = [sum(a * b for a, b in zip(anchor, c, strict=True)) for c in contrasts]
        weights = [math.exp(dot / temperature) for dot in dots]
        return [weight / sum(weights) for weight in weights]

    total = 0.0
    for x, y in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = distribution(y), distribution(x)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(student)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_equals_the_papers_equation_for_rows_and_for_maps(temperature: float) -> None:
    student, teacher, contrast = rows(24, 5, seed=1), rows(24, 5, seed=2), rows(9, 5, seed=3)
    expected = torch.tensor(reference(student, teacher, contrast, temperature), dtype=torch.float64)
    assert_close(memory_relations(student, teacher, contrast, temperature=temperature), expected)
    maps = [x.reshape(2, 3, 4, 5).permute(0, 3, 1, 2) for x in (student, teacher)]
    assert_close(memory_relations(*maps, contrast, temperature=temperature), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Contrasts at right angles. The student's anchor is between them (1:1), the teacher's on
    # the first (e:1 at temperature 1).
    near = math.e / (math.e + 1)
    expected = near * math.log(2 * near) + (1 - near) * math.log(2 * (1 - near))
    loss = memory_relations(
        torch.tensor([[4.0, 4.0]]), torch.tensor([[2.0, 0.0]]), 3 * torch.eye(2), temperature=1.0
    )
    assert_close(loss, torch.tensor(expected))


def test_counts_valid_anchors_only() -> None:
    student, teacher, contrast = rows(24, 5, seed=1), rows(24, 5, seed=2), rows(9, 5, seed=3)
    valid = torch.rand(24, generator=torch.Generator().manual_seed(4)) > 0.4
    expected = memory_relations(student[valid], teacher[valid], contrast)
    assert_close(memory_relations(student, teacher, contrast, valid=valid), expected)
    maps = [x.reshape(2, 3, 4, 5).permute(0, 3, 1, 2) for x in (student, teacher)]
    loss = memory_relations(*maps, contrast, valid=valid.reshape(2, 3, 4))
    assert_close(loss, expected)


def test_gradient_is_right_and_reaches_no_contrast() -> None:
    student, teacher, contrast = rows(6, 4, seed=1), rows(6, 4, seed=2), rows(5, 4, seed=3)
    student.requires_grad_()
    contrast.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: memory_relations(s, teacher, contrast), student)
    memory_relations(student, teacher, contrast).backward()
    assert contrast.grad is None


def test_the_module_draws_first_and_pushes_then() -> None:
    student, teacher, batch = scene()
    module = build()
    pixels = module.pixel.draw(12, step=0)
    regions = module.region.draw(7, step=0)
    start = module.pixel.queue.vectors.clone()
    parts = module(student, teacher, batch)
    valid = batch.valid[:, ::2, ::2]
    expected = 0.1 * memory_relations(student, teacher, pixels, valid=valid)
    assert_close(parts["pixel"], expected)
    expected = 0.1 * memory_relations(student, teacher, regions, valid=valid)
    assert_close(parts["region"], expected)
    assert not torch.equal(module.pixel.queue.vectors, start)
    assert module.steps.value == 1


def test_weights_of_the_parts_are_settings() -> None:
    student, teacher, batch = scene()
    once, twice = (build(pixel_weight=w)(student, teacher, batch) for w in (0.1, 0.2))
    assert_close(twice["pixel"], 2 * once["pixel"])
    assert_close(twice["region"], once["region"])


def test_evaluation_mode_pushes_nothing() -> None:
    module = build().eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module(*scene())
    for name, value in module.state_dict().items():
        assert_close(value, before[name], rtol=0, atol=0)


def test_a_resumed_module_goes_on_with_the_same_bits() -> None:
    module, resumed = build(seed=5), build(seed=5)
    module(*scene(0))
    module(*scene(10))
    resumed.load_state_dict(module.state_dict())
    ours, theirs = module(*scene(20)), resumed(*scene(20))
    for part in ("pixel", "region"):
        assert_close(ours[part], theirs[part], rtol=0, atol=0)
    for name, value in module.state_dict().items():
        assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_the_whole_of_cirkd_is_its_three_parts() -> None:
    student, teacher, batch = scene()
    whole = CrossImageRelations(
        CLASSES,
        5,
        batch_weight=2.0,
        region_contrasts=7,
        **SMALL,  # type: ignore[arg-type]
    ).double()
    parts = whole(student, teacher, batch)
    valid = resize_valid(batch.valid, student.shape[2:])
    assert_close(parts["batch"], 2 * batch_relations(student, teacher, valid=valid))
    for name, value in build()(student, teacher, batch).items():
        assert_close(parts[name], value)


def test_refuses_contrasts_and_anchors_that_do_not_fit() -> None:
    student = rows(6, 4)
    with pytest.raises(ValueError, match=r"expected contrasts \(K, 4\), got \(5, 3\); draw them"):
        memory_relations(student, student, rows(5, 3))
    with pytest.raises(ValueError, match="memory_relations: expected equal channel counts"):
        memory_relations(student, rows(6, 3), rows(5, 4))
    with pytest.raises(ValueError, match="memory_relations: expected temperature > 0"):
        memory_relations(student, student, rows(5, 4), temperature=0.0)
    with pytest.raises(ValueError, match="MemoryRelations: expected temperature > 0"):
        build(temperature=-1.0)
