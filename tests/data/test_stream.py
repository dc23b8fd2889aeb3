"""The stream: a batch is a function of its number, whoever makes it and however often."""

import gc
import multiprocessing
import os
import re
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from segdistill.data import loader as loader_module
from segdistill.data import stream as stream_module
from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.folder import folder
from segdistill.data.formats.scenes import scenes
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import DataError, WorkerLostError
from segdistill.types import Batch

RECIPE = Recipe((16, 16), (0.5, 2.0), flip=True)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_batch_has_the_shapes_and_types_of_the_contract(dataset: FileDataset) -> None:
    images, labels, valid = Stream(dataset, RECIPE, 4, seed=0).batch(0)
    assert (images.shape, images.dtype) == ((4, 3, 16, 16), torch.uint8)
    assert (labels.shape, labels.dtype) == ((4, 16, 16), torch.int64)
    assert (valid.shape, valid.dtype) == ((4, 16, 16), torch.bool)


def test_every_epoch_shows_every_image_once_in_another_order(dataset: FileDataset) -> None:
    stream = Stream(dataset, RECIPE, 4, seed=0)
    shown = [stream.index(k, i) for k in range(10) for i in range(4)]
    epochs = [shown[start : start + 5] for start in range(0, 40, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 3
    assert stream.steps_per_epoch == 5 / 4


def test_a_batch_depends_on_its_number_and_the_seed_not_on_those_before(
    dataset: FileDataset,
) -> None:
    walked = Stream(dataset, RECIPE, 4, seed=0)
    batches = [walked.batch(k) for k in range(9)]
    assert equal(batches[8], Stream(dataset, RECIPE, 4, seed=0).batch(8))
    assert equal(batches[2], walked.batch(2))
    assert not equal(batches[8], Stream(dataset, RECIPE, 4, seed=1).batch(8))


def test_a_batch_may_be_larger_than_the_dataset(dataset: FileDataset) -> None:
    stream = Stream(dataset, RECIPE, 13, seed=0)
    assert stream.batch(1).images.shape[0] == 13
    assert sorted(stream.index(0, i) for i in range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("world", [2, 3, 6])
def test_the_shares_of_all_processes_are_the_global_batch(dataset: FileDataset, world: int) -> None:
    stream = Stream(dataset, RECIPE, 6, seed=0)
    shares = [stream.batch(3, rank, world) for rank in range(world)]
    joined = Batch(*(torch.cat(parts) for parts in zip(*shares, strict=True)))
    assert equal(joined, stream.batch(3))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_loader_gives_the_same_batches_for_any_number_of_workers(
    dataset: FileDataset, workers: int
) -> None:
    stream = Stream(dataset, RECIPE, 4, seed=0)
    loaded = list(stream.loader(3, 8, workers=workers))
    assert [type(batch) for batch in loaded] == [Batch] * 5
    assert all(equal(batch, stream.batch(3 + i)) for i, batch in enumerate(loaded))
    shared = list(stream.loader(3, 5, workers=workers, rank=1, world=2))
    assert equal(shared[1], stream.batch(4, 1, 2))


def test_the_loader_leaves_torchs_random_state_alone(dataset: FileDataset) -> None:
    state = torch.random.get_rng_state()
    for workers in (0, 1):
        list(Stream(dataset, RECIPE, 4, seed=0).loader(0, 2, workers=workers))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_closing_the_loader_ends_its_workers(dataset: FileDataset) -> None:
    loader = Stream(dataset, RECIPE, 4, seed=0).loader(0, 1000, workers=2)
    next(loader)
    assert len(multiprocessing.active_children()) == 2
    loader.close()
    gc.collect()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named_also_when_a_worker_reads_it(tree: Path, workers: int) -> None:
    (tree / "train/images/2.png").write_bytes(b"broken")
    stream = Stream(folder(split="train", root=tree), RECIPE, 5, seed=0)
    with pytest.raises(DataError, match=r"^\S*images/2\.png: expected a readable image"):
        list(stream.loader(0, 1, workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_images_are_replaced_and_listed_where_the_config_says_skip(
    tree: Path, workers: int
) -> None:
    (tree / "train/images/2.png").write_bytes(b"broken")
    (tree / "train/masks/4.png").write_bytes(b"")
    stream = Stream(folder(split="train", root=tree), RECIPE, 5, seed=0, on_error="skip")
    batches = list(stream.loader(0, 3, workers=workers))
    assert [batch.images.shape[0] for batch in batches] == [5, 5, 5]
    assert sorted(stream.skipped) == [2, 4]
    assert "images/2.png: expected a readable image" in stream.skipped[2]
    again = Stream(folder(split="train", root=tree), RECIPE, 5, seed=0, on_error="skip")
    assert equal(again.batch(2), batches[2])


def test_a_dataset_where_nothing_can_be_read_is_refused_also_with_skip(tree: Path) -> None:
    data = folder(split="train", root=tree)
    for index in range(5):
        (tree / f"train/images/{index}.png").unlink()
    with pytest.raises(DataError, match=r"20 broken ones in a row(.|\n)*0\.png(.|\n)*4\.png"):
        Stream(data, RECIPE, 2, seed=0, on_error="skip").batch(0)


@pytest.mark.parametrize("workers", [0, 1])
def test_unlabelled_images_end_each_batch_without_labels(
    dataset: FileDataset, workers: int
) -> None:
    plain = Stream(dataset, RECIPE, 4, seed=0)
    drawn = scenes(split="train", size=(32, 48), train_images=7)
    mixed = Stream(dataset, RECIPE, 6, seed=0, unlabelled=drawn, unlabelled_size=2)
    batch = next(mixed.loader(3, 4, workers=workers))
    assert batch.images.shape[0] == 6
    # The labelled part is what it would be alone.
    assert equal(Batch(*(part[:4] for part in batch)), plain.batch(3))
    assert (batch.labels[4:] == 255).all()
    assert batch.valid[4:].any()
    assert mixed.unlabelled is not None
    assert sorted(mixed.unlabelled.index(0, i) for i in range(7)) == list(range(7))
    assert mixed.steps_per_epoch == 5 / 4


def test_shares_of_a_mixed_batch_hold_both_kinds(dataset: FileDataset) -> None:
    mixed = Stream(dataset, RECIPE, 6, seed=0, unlabelled=dataset, unlabelled_size=2)
    whole, shares = mixed.batch(1), [mixed.batch(1, rank, 2) for rank in (0, 1)]
    assert [share.images.shape[0] for share in shares] == [3, 3]
    order = [0, 1, 4, 2, 3, 5]
    assert torch.equal(torch.cat([share.images for share in shares]), whole.images[order])


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_epochs(dataset: FileDataset) -> None:
    stream = Stream(dataset, Recipe((4, 4)), 4, seed=0)
    for k in range(100):
        stream.batch(k)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for k in range(100, 1500):
        stream.batch(k)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    assert len(stream._orders) <= 2


def test_refuses_a_batch_that_processes_cannot_share(dataset: FileDataset) -> None:
    stream = Stream(dataset, RECIPE, 4, seed=0)
    with pytest.raises(ValueError, match=r"set data\.batch_size to a multiple of 3"):
        stream.batch(0, 0, 3)
    with pytest.raises(ValueError, match="Stream: expected batch_size > 0"):
        Stream(dataset, RECIPE, 0, seed=0)
    with pytest.raises(ValueError, match="together with their number in a batch, got some and 0"):
        Stream(dataset, RECIPE, 2, seed=0, unlabelled=dataset)
    with pytest.raises(ValueError, match="on_error raise or skip, got 'ignore'"):
        Stream(dataset, RECIPE, 2, seed=0, on_error="ignore")  # type: ignore[arg-type]


def test_images_of_different_sizes_share_a_batch(tree: Path) -> None:
    for part in ("images", "masks"):
        with Image.open(tree / f"train/{part}/1.png") as picture:
            picture.crop((0, 0, 9, 7)).save(tree / f"train/{part}/1.png")
    batch = Stream(folder(split="train", root=tree), RECIPE, 5, seed=0).batch(0)
    assert not batch.valid.all()
    assert (batch.labels[~batch.valid] == 255).all()


@pytest.mark.parametrize(("fault", "said"), [("die", "exited|killed"), ("hang", "timed out")])
def test_a_worker_that_dies_or_hangs_is_named_with_its_file(
    dataset: FileDataset, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    read = stream_module.read_part

    def fail(dataset: FileDataset, index: int, *given: Any, **named: Any) -> Any:
        if index == 3 and multiprocessing.parent_process() is not None:
            if fault == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
        return read(dataset, index, *given, **named)

    monkeypatch.setattr(stream_module, "read_part", fail)
    monkeypatch.setattr(loader_module, "TIMEOUT_SECONDS", 2)
    file = dataset.root / dataset.pairs[3].image
    with pytest.raises(
        WorkerLostError, match=rf"({said}).* it was reading .*{re.escape(str(file))}"
    ):
        list(Stream(dataset, RECIPE, 4, seed=0).loader(0, 4, workers=1))
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_while_nobody_waits_is_told_with_the_next_batch(
    dataset: FileDataset,
) -> None:
    before = signal.getsignal(signal.SIGCHLD)
    batches = Stream(dataset, RECIPE, 4, seed=0).loader(0, 1000, workers=1)
    next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    for _ in range(100):
        sum(range(1000))  # a network, say, in the middle of which torch would raise
    with pytest.raises(WorkerLostError, match=r"killed by signal: Killed; it was reading"):
        list(batches)
    after = signal.getsignal(signal.SIGCHLD)  # torch's, or that of a loader that goes on
    assert after == before or after.__qualname__ != "_Deaths._meet"  # type: ignore[union-attr]


def test_a_worker_that_is_stopped_with_batches_in_line_is_told(
    dataset: FileDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "TIMEOUT_SECONDS", 0.3)
    batches = Stream(dataset, RECIPE, 4, seed=0).loader(0, 1000, workers=1)
    next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    time.sleep(0.2)
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerLostError, match=r"workers that go on reading"):
        list(batches)
    assert not multiprocessing.active_children()
