"""Batches of a stream, prepared in advance by worker processes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from segdistill.data.parts import files_of
from segdistill.errors import DataError, WorkerLostError
from segdistill.seeding import torch_generator
from segdistill.types import Batch

if TYPE_CHECKING:
    from segdistill.data.stream import Stream

TIMEOUT_SECONDS = 600
"""Seconds after which a reader counts as hung, such as on a lost network drive."""


def load_batches(
    stream: Stream, steps: range, workers: int, *, rank: int, world: int
) -> Iterator[Batch]:
    """Yield the batches of some steps; see :meth:`segdistill.data.stream.Stream.loader`."""
    # Each worker writes here the number of the image that it is reading, from 1, of the stream
    # and of its unlabelled images.
    reading = torch.zeros(max(workers, 1), 2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
    loader = DataLoader(
        _Batches(stream, rank, world, reading),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        # Without a generator, the iterator would draw from the global one.
        generator=torch_generator(stream.seed, "loader", steps.start),
        worker_init_fn=_leave_signals,
        timeout=TIMEOUT_SECONDS if workers else 0,
    )
    others = set(multiprocessing.active_children())
    batches = iter(loader)
    own = set(multiprocessing.active_children()) - others
    deaths, lost = _Deaths(), ""
    try:
        while True:
            # Beyond the loader's own limit: what a worker has put in line is fetched from it
            # without one, for ever where it is stopped.
            last = threading.Timer(2 * TIMEOUT_SECONDS, _kill, [own])
            last.daemon = True
            if own:
                last.start()
            try:
                made = deaths.waiting_for(batches)
            finally:
                last.cancel()
            if made is None:
                break
            if isinstance(made, DataError):
                raise made
            stream.skipped.update(made.skipped)
            if stream.unlabelled is not None:
                stream.unlabelled.skipped.update(made.unlabelled_skipped)
            yield made.batch
    except (RuntimeError, ConnectionError, EOFError) as error:
        # The latter two where it dies while what it has read is fetched from it.
        if not own or (isinstance(error, RuntimeError) and "DataLoader" not in str(error)):
            raise
        lost = str(error).rstrip(". ") or "an end of file"
    finally:
        del batches  # ends the workers, except those that hang
        _kill(own)
        for worker in own:
            worker.join(5)
        deaths.end()
    if lost:  # raised here, since the frames of torch's error keep the workers
        raise WorkerLostError(
            f"data.workers: expected workers that go on reading, got: {lost}; "
            f"it was reading {_names(stream, reading)}"
        )


class _Deaths:
    """Keeps the death of a worker until a batch is waited for.

    torch's handler of SIGCHLD raises in the middle of whatever runs, such as a network, which
    then takes it for a failure of its own.
    """

    def __init__(self) -> None:
        self.waits = False
        self.kept: RuntimeError | None = None
        self.theirs: Any = signal.getsignal(signal.SIGCHLD) if _has_signals() else None
        if callable(self.theirs):
            signal.signal(signal.SIGCHLD, self._meet)

    def waiting_for(self, batches: Iterator[_Made | DataError]) -> _Made | DataError | None:
        """Return the next batch, None after the last; a death that was kept is raised."""
        self.waits = True
        try:
            kept, self.kept = self.kept, None
            if kept is not None:
                raise kept
            return next(batches, None)
        finally:
            self.waits = False

    def end(self) -> None:
        """Give the signal back; where another loader has taken it since, hand on all deaths."""
        self.waits = True
        if _has_signals() and signal.getsignal(signal.SIGCHLD) == self._meet:
            signal.signal(signal.SIGCHLD, self.theirs)

    def _meet(self, number: int, frame: FrameType | None) -> None:
        try:
            self.theirs(number, frame)
        except RuntimeError as error:
            if self.waits:
                raise
            self.kept = error


def _kill(workers: Iterable[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()


def _has_signals() -> bool:
    return hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()


def _names(stream: Stream, reading: Tensor) -> str:
    """Return the images that workers are reading."""
    datasets = (stream.dataset, stream.unlabelled.dataset if stream.unlabelled else stream.dataset)
    names = []
    for dataset, indices in zip(datasets, reading.T, strict=True):
        for index in (int(number) - 1 for number in indices if number):
            files = files_of(dataset, index)
            names.append(str(files[0]) if files else f"image {index}")
    return ", ".join(names) or "nothing"


class _Made(NamedTuple):
    batch: Batch
    skipped: dict[int, str]
    unlabelled_skipped: dict[int, str]


class _Batches(Dataset[_Made | DataError]):
    """One process's batches by number, as a dataset for DataLoader."""

    def __init__(self, stream: Stream, rank: int, world: int, reading: Tensor) -> None:
        self.stream, self.rank, self.world, self.reading = stream, rank, world, reading

    def __getitem__(self, k: int) -> _Made | DataError:
        worker = get_worker_info()
        own = self.reading[0 if worker is None else worker.id]
        self.stream.reading = own[:1]
        if self.stream.unlabelled is not None:
            self.stream.unlabelled.reading = own[1:]
        # Returned rather than raised, because DataLoader would wrap it in a worker's traceback.
        try:
            batch = self.stream.batch(k, self.rank, self.world)
        except DataError as error:
            return error
        own.zero_()
        second = self.stream.unlabelled
        return _Made(batch, dict(self.stream.skipped), dict(second.skipped) if second else {})


def _leave_signals(worker: int) -> None:
    """Let a worker ignore signals to the whole job, so that the run can write a checkpoint."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
