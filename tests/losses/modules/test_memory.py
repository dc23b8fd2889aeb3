"""Memories: class-aware, first in first out, balanced draws, exact after a resume."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import PixelMemory, RegionMemory
from segdistill.losses.modules.memory import ClassQueue

CLASSES = 3


def scene(images: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Embeddings whose direction tells the class: e_k plus noise in the last channel."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (images, 4, 6), generator=generator)
    labels[:, 0] = 255
    maps = torch.zeros(images, CLASSES + 1, 4, 6)
    maps.scatter_(1, torch.where(labels == 255, CLASSES, labels)[:, None], 1.0)
    maps[:, CLASSES] = 0.1 * torch.rand(images, 4, 6, generator=generator)
    return maps * 7, labels


def random_start(queue: ClassQueue) -> Tensor:
    return ClassQueue(*(queue.vectors.shape[d] for d in (0, 2, 1))).vectors


def test_a_queue_starts_as_random_unit_vectors_of_its_seed() -> None:
    queue = ClassQueue(2, 5, 7, seed=1)
    assert queue.vectors.shape == (2, 7, 5)
    assert_close(queue.vectors.norm(dim=2), torch.ones(2, 7))
    assert_close(queue.vectors, ClassQueue(2, 5, 7, seed=1).vectors, rtol=0, atol=0)
    assert not torch.equal(queue.vectors, ClassQueue(2, 5, 7, seed=2).vectors)


def test_a_queue_is_first_in_first_out_and_wraps() -> None:
    queue = ClassQueue(classes=2, channels=1, capacity=3)
    start = queue.vectors.clone()

    def push(first: list[float], second: list[float]) -> None:
        rows = [[*x, 0.0, 0.0][:2] for x in (first, second)]
        queue.push(torch.tensor(rows)[..., None], torch.tensor([len(first), len(second)]))

    push([1.0, 2.0], [])
    assert_close(queue.vectors[0, :, 0], torch.tensor([1.0, 2.0, start[0, 2, 0].item()]))
    assert_close(queue.vectors[1], start[1])
    push([3.0, 4.0], [9.0])
    assert_close(queue.vectors[0, :, 0], torch.tensor([4.0, 2.0, 3.0]))
    assert queue.vectors[1, 0, 0] == 9
    push([5.0], [])
    assert_close(queue.vectors[0, :, 0], torch.tensor([4.0, 5.0, 3.0]))
    assert queue.position.tolist() == [2, 1]


def test_a_draw_is_balanced_over_the_classes_and_repeats_no_vector() -> None:
    queue = ClassQueue(classes=3, channels=1, capacity=5)
    queue.vectors.copy_(torch.arange(15.0).reshape(3, 5, 1))
    for step in range(20):
        drawn = queue.draw(11, seed=0, step=step)[:, 0]
        assert len(drawn.unique()) == 11
        counts = (drawn // 5).long().bincount(minlength=3).tolist()
        assert sorted(counts) == [3, 4, 4]


def test_fewer_contrasts_than_classes_come_from_different_classes() -> None:
    queue = ClassQueue(classes=4, channels=1, capacity=5)
    queue.vectors.copy_(torch.arange(20.0).reshape(4, 5, 1))
    classes = {tuple((queue.draw(2, seed=0, step=k)[:, 0] // 5).tolist()) for k in range(20)}
    assert all(a != b for a, b in classes)
    assert len(classes) > 3


def test_a_draw_is_a_function_of_seed_and_step() -> None:
    queue = ClassQueue(classes=3, channels=4, capacity=50)
    first = queue.draw(10, seed=1, step=2)
    assert_close(queue.draw(10, seed=1, step=2), first, rtol=0, atol=0)
    assert not torch.equal(queue.draw(10, seed=1, step=3), first)
    assert not torch.equal(queue.draw(10, seed=2, step=2), first)


def test_refuses_to_draw_more_than_the_queues_hold() -> None:
    queue = ClassQueue(classes=3, channels=1, capacity=5)
    assert len(queue.draw(15, seed=0, step=0)) == 15
    with pytest.raises(ValueError, match=r"at most 15 vectors .* 3 queues of 5, got 16; enlarge"):
        queue.draw(16, seed=0, step=0)


def test_pixels_that_are_pushed_for_a_class_have_that_class() -> None:
    memory = PixelMemory(CLASSES, CLASSES + 1, capacity=40, pixels=5)
    teacher, labels = scene()
    memory.enqueue(teacher, labels, step=0)
    for k in range(CLASSES):
        expected = sum(min(int((label == k).sum()), 5) for label in labels)
        assert memory.queue.position[k] == expected
        pushed = memory.queue.vectors[k, :expected]
        assert (pushed.argmax(dim=1) == k).all()
        assert_close(pushed.norm(dim=1), torch.ones(expected))


def test_pixels_of_a_class_are_drawn_without_repetition_and_anew_each_step() -> None:
    memory = PixelMemory(1, 12, capacity=100, pixels=5)
    teacher = torch.eye(12).reshape(1, 12, 3, 4)
    labels = torch.zeros(1, 3, 4, dtype=torch.int64)
    chosen = []
    for step in range(12):
        memory.enqueue(teacher, labels, step=step)
        pushed = memory.queue.vectors[0, 5 * step : 5 * step + 5].argmax(dim=1).tolist()
        assert len(set(pushed)) == 5
        chosen.append(tuple(sorted(pushed)))
    assert len(set(chosen)) > 6
    assert {pixel for pixels in chosen for pixel in pixels} == set(range(12))


def test_an_absent_class_and_ignored_pixels_push_nothing() -> None:
    memory = PixelMemory(CLASSES, CLASSES + 1, capacity=40, pixels=5)
    teacher, labels = scene()
    memory.enqueue(teacher, torch.where(labels == 1, 255, labels), step=0)
    assert memory.queue.position[1] == 0
    assert_close(memory.queue.vectors[1], random_start(memory.queue)[1], rtol=0, atol=0)


def test_regions_are_the_unit_means_of_unit_embeddings() -> None:
    memory = RegionMemory(CLASSES, CLASSES + 1, capacity=6)
    teacher, labels = scene()
    scaled = teacher * torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(1))
    memory.enqueue(scaled, labels)
    assert memory.queue.position.tolist() == [2, 2, 2]
    for k in range(CLASSES):
        for n in range(2):
            vectors = teacher[n][:, labels[n] == k]
            mean = (vectors / vectors.norm(dim=0)).mean(dim=1)
            assert_close(memory.queue.vectors[k, n], mean / mean.norm())


def test_labels_of_another_size_are_taken_by_nearest() -> None:
    teacher, labels = scene()
    small, large = (PixelMemory(CLASSES, CLASSES + 1, 40, 5) for _ in range(2))
    small.enqueue(teacher, labels, step=0)
    large.enqueue(teacher, labels.repeat_interleave(3, 1).repeat_interleave(2, 2), step=0)
    assert_close(large.queue.vectors, small.queue.vectors, rtol=0, atol=0)


def test_a_loaded_memory_goes_on_with_the_same_bits() -> None:
    teacher, labels = scene()
    memory, resumed = (PixelMemory(CLASSES, CLASSES + 1, 20, 5, seed=s) for s in (3, 3))
    memory.enqueue(teacher, labels, step=0)
    resumed.load_state_dict(memory.state_dict())
    for one in (memory, resumed):
        one.enqueue(*scene(seed=1), step=1)
    assert_close(memory.queue.vectors, resumed.queue.vectors, rtol=0, atol=0)
    assert_close(memory.draw(9, step=2), resumed.draw(9, step=2), rtol=0, atol=0)


def test_refuses_a_class_that_the_memory_lacks() -> None:
    teacher, labels = scene()
    with pytest.raises(ValueError, match=r"PixelMemory: expected labels below 2 or 255, got \[2\]"):
        PixelMemory(2, 4, capacity=20).enqueue(teacher, labels, step=0)
    with pytest.raises(ValueError, match=r"RegionMemory: expected labels below 2 or 255"):
        RegionMemory(2, 4, capacity=20).enqueue(teacher, labels)


def test_refuses_a_capacity_below_the_pixels_of_one_image() -> None:
    with pytest.raises(ValueError, match=r"at least the 16 pixels of one image, got 10; enlarge"):
        PixelMemory(3, 4, capacity=10)
    with pytest.raises(ValueError, match="RegionMemory: expected capacity > 0"):
        RegionMemory(3, 4, capacity=0)
