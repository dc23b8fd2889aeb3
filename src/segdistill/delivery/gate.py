"""The gate: an exported file is run in its own runtime on real images before delivery."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segdistill.delivery.contract import Contract
from segdistill.delivery.opened import OpenedFile
from segdistill.delivery.parity import Parity
from segdistill.delivery.program import Program
from segdistill.network_state import device_of, evaluating
from segdistill.scoring.evaluator import evaluate
from segdistill.types import Sample, SegDataset

OnImage = Callable[[int], None]
"""Called with the number of images scored so far."""


@dataclass(frozen=True)
class Score:
    """The scores of a file and its network on the same images.

    Attributes:
        split: name of the split.
        images: number of images.
        agreement: share of pixels with the same class.
        miou: mIoU of the file, as a fraction.
        network_miou: mIoU of the network, as a fraction.
    """

    split: str
    images: int
    agreement: float
    miou: float
    network_miou: float

    @property
    def loss_points(self) -> float:
        """The loss of mIoU of the file, in points of 100."""
        return 100 * (self.network_miou - self.miou)


@dataclass(frozen=True)
class Timing:
    """Milliseconds per image of one program, from passes in turns with another.

    Attributes:
        median_ms, low_ms, high_ms: median, tenth and ninetieth percentile.
        threads: number of threads.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    threads: int


def score_beside(
    network: nn.Module,
    file: OpenedFile,
    dataset: SegDataset,
    *,
    split: str,
    scales: Sequence[float] = (1.0,),
    window: tuple[int, int] | None = None,
    on_image: OnImage | None = None,
) -> Score:
    """Score a file and its network on the same images, in the same way as the run was scored.

    The network's logits are first resized to the image, like those of the file, so that the
    remaining difference is due to the file.

    Args:
        network: the network; its mode is restored.
        file: the file, opened in its runtime.
        dataset: images with masks.
        split: name of the split.
        scales: see :func:`segdistill.scoring.inference.predict`.
        window: see :func:`segdistill.scoring.inference.predict`.
        on_image: called after each image of either of the two.

    Raises:
        DataError, ValueError: see :func:`segdistill.scoring.evaluator.evaluate`.
        RuntimeRefusalError: the file does not run on an image.
    """
    predicted: list[np.ndarray] = []
    same = pixels = 0

    def keep(index: int, _sample: Sample, ids: np.ndarray) -> None:
        predicted.append(ids)
        if on_image is not None:
            on_image(index + 1)

    def count(index: int, _sample: Sample, ids: np.ndarray) -> None:
        nonlocal same, pixels
        same += int((ids == predicted[index]).sum())
        pixels += ids.size
        if on_image is not None:
            on_image(len(predicted) + index + 1)

    in_torch = _as_program(network, file.contract)
    of_network = evaluate(
        in_torch, dataset, scales=scales, window=window, batch_size=1, on_image=keep
    )
    of_file = evaluate(file, dataset, scales=scales, window=window, batch_size=1, on_image=count)
    return Score(
        split=split,
        images=of_file.images,
        agreement=same / pixels,
        miou=of_file.scores.miou,
        network_miou=of_network.scores.miou,
    )


def _as_program(network: nn.Module, contract: Contract) -> OpenedFile:
    """Return a network with the inputs and outputs of a file's contract, computed by torch."""
    program = Program(network, images=contract.images, output=contract.output)
    device = device_of(network)

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), evaluating(program):
            output: np.ndarray = program(torch.from_numpy(images).to(device)).cpu().numpy()
        return output

    return OpenedFile(run, contract, Path("network"))


def time_beside(
    programs: Mapping[str, nn.Module],
    size: tuple[int, int],
    *,
    threads: int,
    warm_up: int = 2,
    passes: int = 11,
) -> dict[str, Timing]:
    """Time programs on one image in turns, so that a busy moment affects all of them.

    Args:
        programs: programs by name; files must have been opened with the same number of threads.
        size: height and width of the image.
        threads: number of torch threads.
        warm_up: number of rounds before the measurement.
        passes: number of measured rounds.
    """
    image = torch.rand(1, 3, *size)
    times: dict[str, list[float]] = {name: [] for name in programs}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            for number in range(warm_up + passes):
                for name, program in programs.items():
                    with evaluating(program):
                        start = time.perf_counter()
                        program(image)
                        milliseconds = 1000 * (time.perf_counter() - start)
                    if number >= warm_up:
                        times[name].append(milliseconds)
    finally:
        torch.set_num_threads(before)
    return {name: _timing(values, threads) for name, values in times.items()}


def _timing(values: list[float], threads: int) -> Timing:
    ordered = sorted(values)
    tenth = len(ordered) // 10
    return Timing(statistics.median(ordered), ordered[tenth], ordered[-1 - tenth], threads)


@dataclass(frozen=True)
class Tolerance:
    """The differences that a file of a format may have.

    Attributes:
        largest_difference: largest difference of the logits on any image; None for no limit.
        agreement: minimum share of pixels with the same class.
        loss_points: largest loss of mIoU in points of 100; None for no limit.
    """

    largest_difference: float | None = None
    agreement: float = 0.0
    loss_points: float | None = None


def faults(tolerance: Tolerance, parity: Sequence[Parity], score: Score | None) -> list[str]:
    """Return the failed tests of a file, worded to follow "got ..."; empty for a good one."""
    found = []
    for at_size in parity:
        where = f"at {at_size.size[0]}x{at_size.size[1]}"
        if at_size.failure:
            found.append(f"none that runs {where}: {at_size.failure}")
            continue
        limit, far = tolerance.largest_difference, at_size.largest_difference
        if limit is not None and far is not None and not far <= limit:
            found.append(f"logits that differ by {far:.3g} {where} ({limit:g} is allowed)")
        if at_size.agreement < tolerance.agreement:
            found.append(
                f"{100 * at_size.agreement:.2f} % equal classes {where} "
                f"({100 * tolerance.agreement:g} % is required)"
            )
    if score is not None:
        if score.agreement < tolerance.agreement:
            found.append(
                f"{100 * score.agreement:.2f} % equal classes on {score.split} "
                f"({100 * tolerance.agreement:g} % is required)"
            )
        if tolerance.loss_points is not None and score.loss_points > tolerance.loss_points:
            found.append(
                f"mIoU {100 * score.miou:.2f} instead of {100 * score.network_miou:.2f} on "
                f"{score.split} (a loss of {tolerance.loss_points:g} is allowed)"
            )
    return found
