"""Mini-batch relations: the equation in plain loops, blocks of anchors, widths."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import BatchRelations, batch_relations
from segdistill.losses.maths import relations


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def embeddings(image: Tensor) -> list[list[float]]:
    vectors = [vector.tolist() for vector in image.flatten(start_dim=1).T]
    lengths = [math.sqrt(sum(v * v for v in vector)) for vector in vectors]
    return [[v / n for v in vector] for vector, n in zip(vectors, lengths, strict=True)]


def distribution(
    anchor: list[float], contrasts: list[list[float]], temperature: float
) -> list[float]:
    dots = [sum(a * b for a, b in zip(anchor, c, strict=True)) / temperature for c in contrasts]
    weights = [math.exp(dot) for dot in dots]
    return [weight / sum(weights) for weight in weights]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def reference(student: Tensor, teacher: Tensor, temperature: float) -> float:
    ours, theirs = [embeddings(x) for x in student], [embeddings(y) for y in teacher]
    total = 0.0
    for i in range(len(ours)):
        for j in range(len(ours)):
            rows = [
                kl(
                    distribution(theirs[i][a], theirs[j], temperature),
                    distribution(ours[i][a], ours[j], temperature),
                )
                for a in range(len(ours[i]))
            ]
            total += sum(rows) / len(rows)
    return total / len(ours) ** 2


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_equals_the_papers_equation_for_maps_of_two_widths(temperature: float) -> None:
    student, teacher = maps(3, 4, 2, 3, seed=1), maps(3, 6, 2, 3, seed=2)
    expected = torch.tensor(reference(student, teacher, temperature), dtype=torch.float64)
    assert_close(batch_relations(student, teacher, temperature=temperature), expected)
    assert_close(BatchRelations(temperature)(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # One image of two pixels, parallel for the student (rows 1:1), at right angles for the
    # teacher (rows e:1 at temperature 1).
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    near = math.e / (math.e + 1)
    expected = near * math.log(2 * near) + (1 - near) * math.log(2 * (1 - near))
    loss = batch_relations(torch.ones(1, 2, 1, 2), teacher, temperature=1.0)
    assert_close(loss, torch.tensor(expected))


def test_does_not_depend_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1).requires_grad_(), maps(2, 4, 3, 5, seed=2)
    whole = batch_relations(student, teacher)
    (gradient,) = torch.autograd.grad(whole, student)
    monkeypatch.setattr(relations, "BLOCK", 4)  # three whole blocks and three anchors more
    divided = batch_relations(student, teacher)
    assert_close(divided, whole)
    assert_close(torch.autograd.grad(divided, student)[0], gradient)


def test_an_accelerator_compares_more_anchors_at_once() -> None:
    assert relations.anchors_at_once(torch.empty(1, 8, 4096)) == 512
    for contrasts, anchors in ((4096, 2048), (8192, 1024), (10**6, 512)):
        there = torch.empty(1, 8, contrasts, device="meta")
        assert relations.anchors_at_once(there) == anchors


def test_does_not_change_with_the_scale_of_an_embedding() -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1), maps(2, 4, 3, 5, seed=2)
    scale = torch.rand(2, 1, 3, 5, generator=torch.Generator().manual_seed(3)) + 0.1
    assert_close(batch_relations(scale * student, teacher), batch_relations(student, teacher))


def test_gradient_is_right() -> None:
    student, teacher = maps(2, 3, 2, 3, seed=1).requires_grad_(), maps(2, 4, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: batch_relations(s, teacher), student)
    # A student that is used twice gets both gradients.
    assert torch.autograd.gradcheck(
        lambda s: batch_relations(s, teacher) + 2 * batch_relations(s.flip(0), teacher), student
    )


def test_stays_finite_at_a_very_low_temperature() -> None:
    student, teacher = maps(1, 4, 3, 5, seed=1).float(), maps(1, 4, 3, 5, seed=2).float()
    student.requires_grad_()
    loss = batch_relations(student, teacher, temperature=1e-3)
    loss.backward()
    expected = batch_relations(student.double(), teacher.double(), temperature=1e-3)
    assert_close(loss.double(), expected, rtol=1e-4, atol=1e-4)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_refuses_a_temperature_of_zero() -> None:
    with pytest.raises(ValueError, match="BatchRelations: expected temperature > 0"):
        BatchRelations(0.0)
