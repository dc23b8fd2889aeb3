"""The objective: what is summed and what is aligned."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.config import RunConfig
from segdistill.losses import layer_angular, pixelwise_kl, resize_like
from segdistill.training.objective import Objective, build_objective
from segdistill.training.task_loss import task_loss
from segdistill.training.teacher_labels import with_teacher_labels
from segdistill.types import Batch, SegOutput

Make = Callable[..., RunConfig]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(labels: Tensor) -> Batch:
    images = torch.zeros(len(labels), 3, *labels.shape[1:], dtype=torch.uint8)
    return Batch(images, labels, torch.ones_like(labels, dtype=torch.bool))


def build(config: RunConfig, student: dict[str, int], teacher: dict[str, int]) -> Objective:
    return build_objective(
        config.distill,
        student_channels=student,
        teacher_channels=teacher,
        classes=3,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        seed=0,
    )


def test_the_task_loss_is_cross_entropy_over_labelled_positions() -> None:
    logits, labels = noise(2, 3, 2, 4), torch.tensor([0, 1, 2, 255]).repeat(2, 4, 2)
    resized = F.interpolate(logits, size=(4, 8), mode="bilinear")
    expected = F.cross_entropy(resized, labels, ignore_index=255)
    parts = task_loss(SegOutput(logits, logits), labels, auxiliary_weight=0.5)
    assert_close(parts["task"], expected)
    assert_close(parts["auxiliary"], 0.5 * expected)


def test_the_teachers_classes_stand_in_where_an_image_has_no_label() -> None:
    labels = torch.full((2, 4, 4), 255)
    labels[0, 0, 0] = 2
    valid = torch.ones_like(labels, dtype=torch.bool)
    valid[1, :, 3] = False
    logits = torch.zeros(2, 3, 1, 1)
    logits[:, 1] = 1.0
    found = with_teacher_labels(batch(labels)._replace(valid=valid), logits).labels
    assert torch.equal(found[0], labels[0]), "an image with a label keeps what it has"
    assert (found[1, :, :3] == 1).all()
    assert (found[1, :, 3] == 255).all(), "padding has no class"


def test_only_losses_that_need_labels_see_the_teachers(small: Make) -> None:
    config = small(distill=[{"loss": "intra_class_variation", "tap": "logits"}])
    maps = {"logits": noise(1, 3, 4, 4)}, {"logits": noise(1, 3, 4, 4, seed=1)}
    unknown = batch(torch.full((1, 4, 4), 255))
    without = build(config, {"logits": 3}, {"logits": 3})
    given = build(config, {"logits": 3}, {"logits": 3})
    given.teacher_labels = True
    output = SegOutput(maps[0]["logits"])
    assert without(output, *maps, unknown)["intra_class_variation"] == 0
    found = given(output, *maps, unknown)
    assert found["intra_class_variation"] > 0
    assert found["task"] == 0, "the task is learnt from true labels alone"


def test_no_labelled_position_gives_zero_with_a_graph() -> None:
    logits = noise(1, 3, 2, 2).requires_grad_()
    loss = task_loss(SegOutput(logits), torch.full((1, 4, 4), 255))["task"]
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.count_nonzero() == 0


def test_parts_are_weighted_and_named_and_a_repeated_loss_gets_its_place(small: Make) -> None:
    config = small(
        distill=[
            {"loss": "pixelwise_kl", "weight": 2.0},
            {"loss": "pixelwise_kl", "weight": 3.0, "tap": "head", "temperature": 2.0},
        ]
    )
    channels = {"logits": 3, "head": 3}
    objective = build(config, channels, channels)
    student = {"logits": noise(1, 3, 4, 6, seed=1), "head": noise(1, 3, 4, 6, seed=2)}
    teacher = {"logits": noise(1, 3, 4, 6, seed=3), "head": noise(1, 3, 4, 6, seed=4)}
    labels = torch.zeros(1, 8, 12, dtype=torch.int64)
    parts = objective(SegOutput(student["logits"]), student, teacher, batch(labels))
    assert list(parts) == ["task", "pixelwise_kl", "pixelwise_kl_1"]
    assert_close(parts["pixelwise_kl"], 2 * pixelwise_kl(student["logits"], teacher["logits"]))
    other = pixelwise_kl(student["head"], teacher["head"], temperature=2.0)
    assert_close(parts["pixelwise_kl_1"], 3 * other)
    assert objective.taps() == ["logits", "head"]


@pytest.mark.parametrize("align", ["teacher", "student"])
def test_sizes_are_aligned_as_the_config_says(small: Make, align: str) -> None:
    config = small(distill=[{"loss": "layer_angular", "weight": 1.0, "align": align}])
    objective = build(config, {"backbone": 5}, {"backbone": 5})
    student, teacher = noise(1, 5, 4, 6, seed=1), noise(1, 5, 8, 12, seed=2)
    output, labels = SegOutput(noise(1, 3, 4, 6)), torch.zeros(1, 8, 12, dtype=torch.int64)
    parts = objective(output, {"backbone": student}, {"backbone": teacher}, batch(labels))
    if align == "teacher":
        expected = layer_angular(student, resize_like(teacher, student))
    else:
        expected = layer_angular(resize_like(student, teacher), teacher)
    assert_close(parts["layer_angular"], expected)


def test_a_projector_is_inserted_where_widths_differ_and_comes_from_the_seed(small: Make) -> None:
    config = small(distill=[{"loss": "layer_angular"}])
    before = torch.get_rng_state()
    first = build(config, {"backbone": 5}, {"backbone": 7})
    again = build(config, {"backbone": 5}, {"backbone": 7})
    assert torch.equal(before, torch.get_rng_state())
    assert first.terms["layer_angular"].projector is not None
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert build(config, {"backbone": 7}, {"backbone": 7}).terms["layer_angular"].projector is None


def test_without_a_projector_other_widths_are_refused(small: Make) -> None:
    config = small(distill=[{"loss": "layer_angular", "project": "none"}])
    objective = build(config, {"backbone": 5}, {"backbone": 7})
    output, labels = SegOutput(noise(1, 3, 4, 6)), torch.zeros(1, 8, 12, dtype=torch.int64)
    maps = {"backbone": noise(1, 5, 4, 6)}, {"backbone": noise(1, 7, 4, 6)}
    with pytest.raises(ValueError, match=r"expected equal channel counts.*project the student"):
        objective(output, *maps, batch(labels))
