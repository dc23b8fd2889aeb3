"""The stream of training batches: batch k is a function of data, recipe, seed and k."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from segdistill.checks import check_positive
from segdistill.data.parts import files_of, read_part
from segdistill.data.rare import count_pixels, rare_classes
from segdistill.data.transforms import Recipe, Region, augment, draw_region, needs_mask
from segdistill.errors import DataError
from segdistill.seeding import draws, torch_generator
from segdistill.types import Batch, SegDataset

_ATTEMPTS = 20
TIMEOUT_SECONDS = 600
"""How long a batch may take to read before the reader counts as hung: a lost network drive."""


class Stream:
    """An endless sequence of batches that keeps no state between them.

    Sample i of batch k is number ``k * batch_size + i`` of an endless list of epochs, each a
    permutation of the dataset. So any batch can be made at any time, by any process.

    Args:
        dataset: images with masks.
        recipe: how a sample is drawn from an image.
        batch_size: images in the global batch, over all processes.
        seed: seed of the order and of the augmentation.
        on_error: ``raise`` stops at an image that cannot be read; ``skip`` draws another
            instead and notes it in ``skipped``.
        unlabelled: images that are added to each batch without labels, if any.
        unlabelled_size: number of them in a batch, included in ``batch_size``.

    Attributes:
        skipped: message, by index, of each image that this process and its workers have
            skipped so far; those of ``unlabelled`` are in its own stream.
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
            # Masks of these images may exist, and nothing may depend on them.
            blind = replace(recipe, rare_class=0.0, max_class_share=1.0)
            self.unlabelled = Stream(
                unlabelled, blind, unlabelled_size, _other_seed(seed), on_error=on_error
            )
        self._labelled_size = batch_size - unlabelled_size
        self._orders: dict[int, Tensor] = {}
        self._reading = torch.zeros(1, dtype=torch.int64)
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
        """Return which image of the dataset a position of a batch has by epochs.

        A recipe that draws for rare classes may replace it by another.
        """
        epoch, number = divmod(step * self._labelled_size + position, len(self.dataset))
        if epoch not in self._orders:
            # A batch spans few epochs; older orders can be drawn again if asked for.
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
        drawn = [self._sample(k, position) for position in self._share(rank, world)]
        images, labels, valid = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        if self.unlabelled is None:
            return Batch(images, labels, valid)
        more = self.unlabelled.batch(k, rank, world)
        # A mask may exist on disk, but the config says not to use it.
        unknown = torch.full_like(more.labels, 255)
        return Batch(
            torch.cat([images, more.images]),
            torch.cat([labels, unknown]),
            torch.cat([valid, more.valid]),
        )

    def loader(
        self, start: int, stop: int, workers: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """Yield batches ``start`` to ``stop - 1``, prepared ahead by worker processes.

        The batches do not depend on the number of workers, and torch's global random state
        is not touched. Closing the iterator ends the workers.

        Args:
            start: index of the first batch.
            stop: one above the index of the last.
            workers: number of processes that prepare batches; 0 prepares them in this one.
            rank: which process of a data-parallel run this is.
            world: number of those processes.

        Raises:
            ValueError: the batch cannot be shared equally.
            DataError: an image cannot be read, in this process or in a worker.
        """
        self._share(rank, world)
        # Of each worker the image that it reads, from 1: of this stream, of the unlabelled one.
        reading = torch.zeros(max(workers, 1), 2, dtype=torch.int64)
        reading.share_memory_()  # type: ignore[no-untyped-call]
        loader = DataLoader(
            _Batches(self, rank, world, reading),
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            # Without a generator, making the iterator would draw from the global one.
            generator=torch_generator(self.seed, "loader", start),
            worker_init_fn=_leave_signals,
            timeout=TIMEOUT_SECONDS if workers else 0,
        )
        others = set(multiprocessing.active_children())
        batches = iter(loader)
        own = set(multiprocessing.active_children()) - others
        try:
            for made in batches:
                if isinstance(made, DataError):
                    raise made
                self.skipped.update(made.skipped)
                if self.unlabelled is not None:
                    self.unlabelled.skipped.update(made.unlabelled_skipped)
                yield made.batch
        except RuntimeError as error:
            if "DataLoader" not in str(error):
                raise
            # Of a worker that died or hangs; torch says which process, but not what it read.
            raise RuntimeError(f"{error}; it was reading {self._names(reading)}") from None
        finally:
            del batches  # workers that read end here, and those that hang do not
            for worker in own:
                worker.kill()

    def _names(self, reading: Tensor) -> str:
        """Return the images that workers have begun to read and not ended."""
        datasets = (self.dataset, self.unlabelled.dataset if self.unlabelled else self.dataset)
        names = []
        for dataset, indices in zip(datasets, reading.T, strict=True):
            for index in (int(number) - 1 for number in indices if number):
                files = files_of(dataset, index)
                names.append(str(files[0]) if files else f"image {index}")
        return ", ".join(names) or "nothing"

    def skipped_images(self) -> list[dict[int, str]]:
        """Return ``skipped`` of the labelled and of the unlabelled images, for a checkpoint."""
        second = self.unlabelled.skipped if self.unlabelled is not None else {}
        return [dict(self.skipped), dict(second)]

    def restore_skipped(self, skipped: Sequence[Mapping[int, str]]) -> None:
        """Take over what :meth:`skipped_images` returned; call before :meth:`loader`."""
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
            f"Stream: expected images that can be read, got {_ATTEMPTS} broken ones in a row; "
            f"correct the data:{listed}"
        )

    def _augmented(
        self, index: int, step: int, position: int, wanted: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        draw = (self.recipe, self.seed, step, position)
        self._reading[0] = index + 1  # a worker's place, where the run can see it

        def region_of(size: tuple[int, int], mask: np.ndarray | None) -> Region:
            draws_of_sample = draws(self.seed, "augment", step, position)
            return draw_region(size, mask, self.recipe, draws_of_sample, wanted=wanted)

        # What lies outside the crop need not be decoded.
        look = needs_mask(self.recipe, wanted)
        sample, size = read_part(self.dataset, index, region_of, look=look)
        return augment(sample, *draw, size=size, wanted=wanted)

    def _share(self, rank: int, world: int) -> range:
        if self._labelled_size % world or not 0 <= rank < world:
            raise ValueError(
                f"Stream: expected a batch size that {world} processes share equally and a rank "
                f"below {world}, got {self._labelled_size} and {rank}; "
                f"set data.batch_size to a multiple of {world}"
            )
        if self.unlabelled is not None:
            self.unlabelled._share(rank, world)
        size = self._labelled_size // world
        return range(rank * size, (rank + 1) * size)


class _Made(NamedTuple):
    batch: Batch
    skipped: dict[int, str]
    unlabelled_skipped: dict[int, str]


class _Batches(Dataset[_Made | DataError]):
    """One process's batches by number, in the form that DataLoader asks for."""

    def __init__(self, stream: Stream, rank: int, world: int, reading: Tensor) -> None:
        self.stream, self.rank, self.world, self.reading = stream, rank, world, reading

    def __getitem__(self, k: int) -> _Made | DataError:
        worker = get_worker_info()
        own = self.reading[0 if worker is None else worker.id]
        self.stream._reading = own[:1]
        if self.stream.unlabelled is not None:
            self.stream.unlabelled._reading = own[1:]
        # Returned, not raised: DataLoader would wrap the message in a worker's traceback.
        try:
            batch = self.stream.batch(k, self.rank, self.world)
        except DataError as error:
            return error
        own.zero_()
        second = self.stream.unlabelled
        return _Made(batch, dict(self.stream.skipped), dict(second.skipped) if second else {})


def _leave_signals(worker: int) -> None:
    """Let a worker outlive signals to the whole job, until the run has written a checkpoint."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _other_seed(seed: int) -> int:
    """Return a seed that keeps the draws of unlabelled images apart from those of labelled ones."""
    return draws(seed, "unlabelled").getrandbits(62)
