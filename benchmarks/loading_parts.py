"""What ``bench_loading.py`` measures beside crops: feeding a student, memory, evaluation."""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from segdistill.data import Recipe, Stream, build_dataset
from segdistill.models import build_network
from segdistill.scoring.evaluator import evaluate
from segdistill.scoring.reading import read_batches
from segdistill.types import SegDataset, SegOutput

STUDENT = {"network": "deeplabv3", "backbone": "mobilenetv2_100", "output_stride": 16}
_LISTED = 20_000


def feeding(
    datasets: dict[str, SegDataset], recipe: Recipe, batch_size: int, steps: int
) -> dict[str, object]:
    """Train a MobileNetV2 student from one loader worker: seconds waiting and computing.

    The student and the worker have a core each. ``memory`` is the same step on a batch that is
    in memory already: a loader that keeps up costs no more than that.
    """
    network = build_network(STUDENT, classes=len(next(iter(datasets.values())).classes))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    ready = Stream(next(iter(datasets.values())), recipe, batch_size, 0).batch(0)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        logits = network(images.float().div(255)).logits
        logits = torch.nn.functional.interpolate(logits, labels.shape[-2:], mode="bilinear")
        loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    loaders = {
        name: Stream(data, recipe, batch_size, 0).loader(0, 10**6, workers=1)
        for name, data in datasets.items()
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("memory", *loaders)}
    for name, loader in loaders.items():
        times[name] = [_timed(step, lambda loader=loader: next(loader)) for _ in range(steps + 2)]
        del times[name][:2]  # warming up
        times["memory"] += [_timed(step, lambda: ready) for _ in range(steps)]
        loader.close()  # type: ignore[attr-defined]
    alone = statistics.median(sum(pair) for pair in times["memory"])
    result: dict[str, object] = {"student": STUDENT, "batch_size": batch_size}
    result["step_ms_from_memory"] = round(1e3 * alone, 1)
    for name in loaders:
        waited, computed = (statistics.median(part) for part in zip(*times[name], strict=True))
        worker = _seconds_per_batch(datasets[name], recipe, batch_size)
        result[name] = {
            "waiting_ms": round(1e3 * waited, 2),
            "computing_ms": round(1e3 * computed, 1),
            "speed_of_memory": round(alone / (waited + computed), 3),
            "worker_busy": round(worker / (waited + computed), 3),
        }
    return result


def memory(folder: Path) -> dict[str, object]:
    """Private memory of a loader worker, for a short list and one of 20 000 images.

    Each is measured in a fresh process, over as many batches: three epochs of the long list. The
    worker is spawned too, so nothing is shared and torch itself is most of its memory.
    """
    spawn = multiprocessing.get_context("spawn")
    private = {}
    for count in (100, _LISTED):
        root = folder / f"list{count}"
        write_list(root, count)
        # A process of a Pool may not start a loader's worker.
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            private[count] = pool.submit(worker_mib, root).result()
    return {
        "worker_private_mib_after_epochs": {
            str(count): [round(mib, 1) for mib in reached] for count, reached in private.items()
        },
        "list_of_20000_costs_mib": round(private[_LISTED][-1] - private[100][-1], 1),
        "growth_over_two_epochs_mib": round(private[_LISTED][-1] - private[_LISTED][0], 1),
    }


def worker_mib(root: Path) -> list[float]:
    """Return what a loader worker of a list keeps for itself after 200, 400 and 600 batches."""
    options = {"dataset": "list", "root": str(root)}
    stream = Stream(build_dataset(options, split="train"), Recipe((16, 16)), 100, 0)
    epoch = _LISTED // 100
    reached = []
    with children() as started:
        loader = stream.loader(0, 10**6, workers=1)
        for step in range(1, 3 * epoch + 1):
            next(loader)
            if step % epoch == 0:
                reached.append(private_mib(started()[-1]))
        loader.close()  # type: ignore[attr-defined]
    return reached


class Waiting(torch.nn.Module):
    """A network that keeps no core busy, like one on a GPU, and takes a given time per image."""

    def __init__(self, classes: int, seconds: float) -> None:
        super().__init__()
        self.classes, self.seconds = classes, seconds

    def forward(self, images: torch.Tensor) -> SegOutput:
        time.sleep(self.seconds * len(images))
        return SegOutput(torch.zeros(len(images), self.classes, 4, 8))


def evaluation(datasets: dict[str, SegDataset], rounds: int) -> dict[str, object]:
    """Score full images with and without reading ahead, medians in milliseconds per image.

    ``waiting`` takes as long as reading does: half of the time is saved where all of the
    reading is hidden. ``student`` needs the core that reading needs, where there is no other.
    """
    results: dict[str, object] = {}
    for name, dataset in datasets.items():
        read = _median(lambda dataset=dataset: list(_batches(dataset)), rounds) / len(dataset)
        classes = len(dataset.classes)
        networks = {
            "waiting": Waiting(classes, read),
            "student": build_network(STUDENT, classes=classes).eval(),
        }
        times: dict[str, dict[str, list[float]]] = {
            network: {"one after the other": [], "overlapped": []} for network in networks
        }
        for _ in range(rounds):
            for network, module in networks.items():
                for workers, way in enumerate(times[network]):
                    start = time.perf_counter()
                    evaluate(module, dataset, workers=workers)
                    spent = time.perf_counter() - start
                    times[network][way].append(1e3 * spent / len(dataset))
        results[name] = {"read_ms": round(1e3 * read, 1)} | {
            network: {way: round(statistics.median(ms), 1) for way, ms in ways.items()}
            for network, ways in times.items()
        }
    return results


def _median(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def write_list(root: Path, count: int) -> None:
    """Write a list dataset of ``count`` images with paths of their own, links to one file."""
    from PIL import Image

    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    Image.new("RGB", (32, 32)).save(root / "one.png")
    Image.new("L", (32, 32)).save(root / "one_mask.png")
    (root / "classes.txt").write_text("ground\nsky\n")
    with (root / "data.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "mask", "split"))
        for index in range(count):
            names = (f"images/frame_{index:08d}.png", f"masks/frame_{index:08d}_labels.png")
            os.link(root / "one.png", root / names[0])
            os.link(root / "one_mask.png", root / names[1])
            rows.writerow((*names, "train"))


@contextlib.contextmanager
def children() -> Iterator[Callable[[], list[int]]]:
    """Yield a function that lists the children that this process has started since."""

    def now() -> set[int]:
        here = Path(f"/proc/{os.getpid()}/task")
        return {
            int(pid) for task in here.iterdir() for pid in (task / "children").read_text().split()
        }

    before = now()
    yield lambda: sorted(now() - before)


def private_mib(pid: int) -> float:
    """Return the memory that a process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _timed(
    step: Callable[[torch.Tensor, torch.Tensor], None], fetch: Callable[[], object]
) -> tuple[float, float]:
    start = time.perf_counter()
    images, labels, _ = fetch()  # type: ignore[misc]
    fetched = time.perf_counter()
    step(images, labels)
    return fetched - start, time.perf_counter() - fetched


def _seconds_per_batch(dataset: SegDataset, recipe: Recipe, batch_size: int) -> float:
    stream = Stream(dataset, recipe, batch_size, 0)
    times = []
    for k in range(12):
        start = time.perf_counter()
        stream.batch(k)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def _batches(dataset: SegDataset) -> Iterator[list]:
    return read_batches(dataset, workers=0, batch_size=8)
