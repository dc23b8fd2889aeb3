"""Memories of a teacher's embeddings: one queue per class, sampled evenly over the classes."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_positive
from segdistill.losses.maths.class_means import class_means, one_hot
from segdistill.losses.maths.gather import draw_uniform, gather_batch
from segdistill.losses.maths.positions import check_labels, resize_labels
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.unit import SHORTEST, length, unit
from segdistill.seeding import torch_generator
from segdistill.types import IGNORE_INDEX


class ClassQueue(nn.Module):
    """First-in-first-out queues of unit vectors, one for each class.

    They are buffers, so that a checkpoint holds them. They start as random unit vectors
    (CIRKD, Alg. 1).

    Args:
        classes: number of queues.
        channels: length of a vector.
        capacity: number of vectors in a queue; the oldest is overwritten first.
        seed: seed of the initial vectors.
    """

    vectors: Tensor
    position: Tensor

    def __init__(self, classes: int, channels: int, capacity: int, seed: int = 0) -> None:
        super().__init__()
        check_positive("ClassQueue", classes=classes, channels=channels, capacity=capacity)
        generator = torch_generator(seed, "queue")
        start = torch.randn(classes, capacity, channels, generator=generator)
        self.register_buffer("vectors", start.div_(length(start, dim=2).clamp_min(SHORTEST)))
        self.register_buffer("position", torch.zeros(classes, dtype=torch.int64))

    def push(self, vectors: Tensor, counts: Tensor) -> None:
        """Put the first ``counts[k]`` of ``vectors[k]`` into the queue of each class k.

        Shape:
            vectors ``(K, V, C)`` with V no more than the capacity; counts ``(K,)``.
        """
        classes, capacity, _ = self.vectors.shape
        slots = torch.arange(vectors.shape[1], device=vectors.device)
        rows = torch.arange(classes, device=vectors.device)[:, None]
        columns = (self.position[:, None] + slots) % capacity
        # Every slot is written, unused ones with their old contents: shapes and work are the same
        # for every batch, and there is no waiting for a count.
        used = (slots < counts[:, None])[..., None]
        kept = self.vectors[rows, columns]
        self.vectors[rows, columns] = torch.where(used, vectors.to(kept.dtype), kept)
        self.position.copy_((self.position + counts) % capacity)

    def draw(self, count: int, *, seed: int, step: int) -> Tensor:
        """Return ``(count, C)`` vectors; the numbers per class differ by at most one.

        Args:
            count: number of vectors.
            seed: seed of the draw.
            step: training step; the draw depends only on the seed and the step.

        Raises:
            ValueError: a class would have to give more vectors than its queue holds.
        """
        classes, capacity, _ = self.vectors.shape
        each, extra = divmod(count, classes)
        most = each + (extra > 0)
        if most > capacity:
            raise ValueError(
                f"ClassQueue: expected at most {classes * capacity} vectors to be drawn from "
                f"{classes} queues of {capacity}, got {count}; enlarge the queue or draw fewer"
            )
        device = self.vectors.device
        generator = torch_generator(seed, "contrasts", step, device=device)
        keys = torch.rand(classes, capacity, generator=generator, device=device)
        columns = keys.topk(most, dim=1).indices
        chosen_classes = torch.randperm(classes, generator=generator, device=device)[:extra]
        all_classes = self.vectors[torch.arange(classes, device=device)[:, None], columns[:, :each]]
        more = self.vectors[chosen_classes, columns[chosen_classes, -1]]
        return torch.cat((all_classes.flatten(end_dim=1), more))

    def extra_repr(self) -> str:
        return "classes={}, capacity={}, channels={}".format(*self.vectors.shape)


class PixelMemory(nn.Module):
    """A queue of pixel embeddings for each class (CIRKD, Sec. 3.2.2).

    Args:
        classes: number of classes.
        channels: width of the embeddings.
        capacity: pixels kept per class; 20 000 in the paper.
        pixels: largest number of pixels pushed per class and image; 16 in the paper.
        seed: seed of the initial queues and of the draws.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        capacity: int = 20000,
        pixels: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("PixelMemory", classes=classes, capacity=capacity, pixels=pixels)
        if pixels > capacity:
            raise ValueError(
                f"PixelMemory: expected a capacity of at least the {pixels} pixels of one image, "
                f"got {capacity}; enlarge the queue"
            )
        self.classes = classes
        self.pixels = pixels
        self.seed = seed
        self.queue = ClassQueue(classes, channels, capacity, seed)

    @torch.no_grad()
    @without_autocast
    def enqueue(
        self, teacher: Tensor, labels: Tensor, *, step: int, ignore_index: int = IGNORE_INDEX
    ) -> None:
        """Draw pixels of each class from each image of all processes, and push them.

        The authors' code draws positions of the whole raster for every class; here, as in the
        paper, the pixels pushed for a class have that class.

        Args:
            teacher: the teacher's embeddings, normalised here.
            labels: class ids, resized to the map by nearest neighbour.
            step: training step; the draw depends only on the seed and the step.
            ignore_index: label of a position that has no class.

        Shape:
            teacher ``(N, C, H, W)``; labels ``(N, H', W')``.

        Raises:
            ValueError: a label is not a class, or belongs to a class that the memory lacks.
        """
        labels = _labels("PixelMemory", teacher, labels, self.classes, ignore_index)
        images, positions = labels.shape
        keys = draw_uniform(
            self.seed, "pixels", step, shape=(images, positions), device=teacher.device
        )
        # Sorted by class, in random order within a class: its first pixels are a random draw.
        order = (labels + keys.double()).argsort(dim=1)
        counts = one_hot(labels, classes=self.classes, dtype=torch.int64).sum(dim=2)
        starts = counts.cumsum(dim=1) - counts
        slots = torch.arange(self.pixels, device=teacher.device)
        places = (starts[..., None] + slots).clamp_max(positions - 1).flatten(start_dim=1)
        chosen = order.gather(1, places)[:, None].expand(-1, teacher.shape[1], -1)
        vectors = teacher.flatten(start_dim=2).gather(2, chosen)
        (vectors,) = full_precision(vectors)
        vectors = unit(vectors, dim=1).mT.reshape(images, self.classes, self.pixels, -1)
        _push(self.queue, vectors, counts.clamp_max(self.pixels))

    def draw(self, count: int, *, step: int) -> Tensor:
        """Return contrasts; see :meth:`ClassQueue.draw`."""
        return self.queue.draw(count, seed=self.seed, step=step)


class RegionMemory(nn.Module):
    """A queue of class means for each class, one per image (CIRKD, Sec. 3.2.3).

    Args:
        classes: number of classes.
        channels: width of the embeddings.
        capacity: regions kept per class; 2 000 in the paper.
        seed: seed of the initial queues and of the draws.
    """

    def __init__(self, classes: int, channels: int, capacity: int = 2000, seed: int = 0) -> None:
        super().__init__()
        check_positive("RegionMemory", classes=classes, capacity=capacity)
        self.classes = classes
        self.seed = seed
        self.queue = ClassQueue(classes, channels, capacity, seed)

    @torch.no_grad()
    @without_autocast
    def enqueue(self, teacher: Tensor, labels: Tensor, *, ignore_index: int = IGNORE_INDEX) -> None:
        """Push the mean of the unit embeddings of each class in each image, as a unit vector.

        Args:
            teacher: the teacher's embeddings, normalised here.
            labels: class ids, resized to the map by nearest neighbour.
            ignore_index: label of a position that has no class.

        Shape:
            teacher ``(N, C, H, W)``; labels ``(N, H', W')``.

        Raises:
            ValueError: a label is not a class, or belongs to a class that the memory lacks.
        """
        labels = _labels("RegionMemory", teacher, labels, self.classes, ignore_index)
        (teacher,) = full_precision(teacher.detach())
        features = unit(teacher.flatten(start_dim=2), dim=1)
        membership = one_hot(labels, classes=self.classes, dtype=features.dtype)
        means, counts = class_means(features, membership)
        _push(self.queue, unit(means, dim=1).mT[:, :, None], (counts > 0).to(torch.int64))

    def draw(self, count: int, *, step: int) -> Tensor:
        """Return contrasts; see :meth:`ClassQueue.draw`."""
        return self.queue.draw(count, seed=self.seed, step=step)


def _labels(
    caller: str, teacher: Tensor, labels: Tensor, classes: int, ignore_index: int
) -> Tensor:
    """Return labels ``(N, P)`` at the map's size, with the value ``classes`` for no class."""
    check_labels(caller, labels, teacher, classes=classes, ignore_index=ignore_index)
    labels = resize_labels(labels, teacher.shape[2:]).flatten(start_dim=1)
    return torch.where(labels == ignore_index, classes, labels)


def _push(queue: ClassQueue, vectors: Tensor, counts: Tensor) -> None:
    """Push ``(N, K, V, C)`` vectors image by image; every process pushes those of all processes."""
    for image in zip(gather_batch(vectors), gather_batch(counts), strict=True):
        queue.push(*image)
