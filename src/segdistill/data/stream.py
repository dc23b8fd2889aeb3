"""The stream of training batches: batch k is a function of data, recipe, seed and k."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from segdistill.checks import check_positive
from segdistill.data.loader import load_batches
from segdistill.data.parts import read_part
from segdistill.data.rare import count_pixels, rare_classes
from segdistill.data.transforms import Recipe, Region, augment, draw_region, needs_mask
from segdistill.errors import DataError
from segdistill.seeding import draws, torch_generator
from segdistill.types import Batch, SegDataset

_ATTEMPTS = 20


class Stream:
    """An endless sequence of batches that keeps no state between them.

    Sample i of batch k is number ``k * batch_size + i`` of an endless list of epochs, each a
    permutation of the dataset. Any batch can therefore be made at any time by any process.

    Args:
        dataset: images with masks.
        recipe: how training crops are drawn and augmented.
        batch_size: number of images in the global batch, over all processes.
        seed: seed of the order and of the augmentation.
        on_error: ``raise`` stops at an unreadable image; ``skip`` draws another one and records
            the image in ``skipped``.
        unlabelled: images that are added to every batch without labels, if any.
        unlabelled_size: their number per batch, included in ``batch_size``.

    Attributes:
        skipped: the error message of each image that this process and its workers have skipped
            so far, by index; those of ``unlabelled`` are in its own stream.
        unlabelled: the stream of the unlabelled images, or None.

    Raises:
        ValueError: a size is below 1, or a dataset is empty.
    """

    def __init__(
        self,
        dataset: SegDataset,
        recipe: Recipe,
        batch_size: int,
        seed: int,
        *,
        on_error: Literal["raise", "skip"] = "raise",
        unlabelled: SegDataset | None = None,
        unlabelled_size: int = 0,
    ) -> None:
        check_positive("Stream", batch_size=batch_size - unlabelled_size)
        if len(dataset) == 0:
            raise ValueError("Stream: expected a dataset with images, got an empty one")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"Stream: expected on_error raise or skip, got {on_error!r}")
        if (unlabelled is None) != (unlabelled_size == 0):
            raise ValueError(
                "Stream: expected unlabelled images together with their number in a batch, got "
                f"{'none' if unlabelled is None else 'some'} and {unlabelled_size}"
            )
        self.dataset = dataset
        self.recipe = recipe
        self.batch_size = batch_size
        self.seed = seed
        self.on_error = on_error
        self.skipped: dict[int, str] = {}
        self.unlabelled = None
        if unlabelled is not None:
            # These images may have masks, on which nothing may depend.
            blind = replace(recipe, rare_class=0.0, max_class_share=1.0)
            self.unlabelled = Stream(
                unlabelled, blind, unlabelled_size, _other_seed(seed), on_error=on_error
            )
        self._labelled_size = batch_size - unlabelled_size
        self._orders: dict[int, Tensor] = {}
        self.reading = torch.zeros(1, dtype=torch.int64)
        self._rare = None
        if recipe.rare_class:
            pixels = count_pixels(dataset, skip_broken=on_error == "skip")
            self._rare = rare_classes(
                pixels, temperature=recipe.rare_temperature, share=recipe.rare_class
            )

    @property
    def steps_per_epoch(self) -> float:
        """Number of batches in which every labelled image is seen once."""
        return len(self.dataset) / self._labelled_size

    def index(self, step: int, position: int) -> int:
        """Return the index of the image at a position of a batch, according to the epochs.

        A recipe that draws rare classes may replace it by another image.
        """
        epoch, number = divmod(step * self._labelled_size + position, len(self.dataset))
        if epoch not in self._orders:
            # A batch spans few epochs; older orders can be drawn again if needed.
            while len(self._orders) > 1:
                self._orders.pop(next(iter(self._orders)))
            generator = torch_generator(self.seed, "order", epoch)
            self._orders[epoch] = torch.randperm(len(self.dataset), generator=generator)
        return int(self._orders[epoch][number])

    def batch(self, k: int, rank: int = 0, world: int = 1) -> Batch:
        """Return one process's share of batch ``k``.

        Args:
            k: index of the batch, from 0.
            rank: index of the process.
            world: number of processes. Without unlabelled images, the shares joined in order are
                the global batch; with them, each share ends with its unlabelled images.

        Raises:
            ValueError: the batch cannot be shared equally.
            DataError: an image cannot be read.
        """
        drawn = [self._sample(k, position) for position in self.share(rank, world)]
        images, labels, valid = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        if self.unlabelled is None:
            return Batch(images, labels, valid)
        more = self.unlabelled.batch(k, rank, world)
        # Masks may exist on disk, but must not be used.
        unknown = torch.full_like(more.labels, 255)
        return Batch(
            torch.cat([images, more.images]),
            torch.cat([labels, unknown]),
            torch.cat([valid, more.valid]),
        )

    def loader(
        self, start: int, stop: int, workers: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """Yield batches ``start`` to ``stop - 1``, prepared in advance by worker processes.

        The batches do not depend on the number of workers, and torch's global random state is
        not changed. Closing the iterator ends the workers.

        Args:
            start: index of the first batch.
            stop: index after the last batch.
            workers: number of worker processes; 0 prepares batches in this process.
            rank: index of the process in a data-parallel run.
            world: number of processes in that run.

        Raises:
            ValueError: the batch cannot be shared equally.
            DataError: an image cannot be read, in this process or in a worker.
        """
        self.share(rank, world)
        return load_batches(self, range(start, stop), workers, rank=rank, world=world)

    def skipped_images(self) -> list[dict[int, str]]:
        """Return ``skipped`` of the labelled and the unlabelled images for a checkpoint."""
        second = self.unlabelled.skipped if self.unlabelled is not None else {}
        return [dict(self.skipped), dict(second)]

    def restore_skipped(self, skipped: Sequence[Mapping[int, str]]) -> None:
        """Restore what :meth:`skipped_images` returned; to be called before :meth:`loader`."""
        labelled, second = skipped
        self.skipped.update(labelled)
        if self.unlabelled is not None:
            self.unlabelled.skipped.update(second)

    def _sample(self, step: int, position: int) -> tuple[Tensor, Tensor, Tensor]:
        drawn = self._rare.draw(self.seed, step, position) if self._rare else None
        index, wanted = drawn or (self.index(step, position), None)
        substitutes = draws(self.seed, "substitute", step, position)
        for _ in range(_ATTEMPTS):
            if index not in self.skipped:
                try:
                    return self._augmented(index, step, position, wanted)
                except DataError as error:
                    if self.on_error == "raise":
                        raise
                    self.skipped[index] = str(error)
            index, wanted = substitutes.randrange(len(self.dataset)), None
        listed = "".join(f"\n  {message}" for message in self.skipped.values())
        raise DataError(
            f"Stream: expected readable images, got {_ATTEMPTS} broken ones in a row; "
            f"correct the data:{listed}"
        )

    def _augmented(
        self, index: int, step: int, position: int, wanted: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        draw = (self.recipe, self.seed, step, position)
        self.reading[0] = index + 1  # seen by the run if it is in shared memory

        def region_of(size: tuple[int, int], mask: np.ndarray | None) -> Region:
            draws_of_sample = draws(self.seed, "augment", step, position)
            return draw_region(size, mask, self.recipe, draws_of_sample, wanted=wanted)

        # Nothing outside the crop needs to be decoded.
        look = needs_mask(self.recipe, wanted)
        sample, size = read_part(self.dataset, index, region_of, look=look)
        return augment(sample, *draw, size=size, wanted=wanted)

    def share(self, rank: int, world: int) -> range:
        """Return the positions of the labelled images that a process draws of every batch.

        Raises:
            ValueError: the batch cannot be shared equally.
        """
        if self._labelled_size % world or not 0 <= rank < world:
            raise ValueError(
                f"Stream: expected a batch size that {world} processes can share equally and a "
                f"rank below {world}, got {self._labelled_size} and {rank}; "
                f"set data.batch_size to a multiple of {world}"
            )
        if self.unlabelled is not None:
            self.unlabelled.share(rank, world)
        size = self._labelled_size // world
        return range(rank * size, (rank + 1) * size)


def _other_seed(seed: int) -> int:
    """Return the seed of the unlabelled images, which makes their draws independent."""
    return draws(seed, "unlabelled").getrandbits(62)
