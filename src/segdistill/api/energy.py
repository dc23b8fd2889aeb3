"""Energy of finished runs: for training, and for predicting 10 000 images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segdistill.network_state import evaluating
from segdistill.runs.result import read_result
from segdistill.training.energy import EnergyMeter
from segdistill.training.events import Progress, Tell, silent
from segdistill.training.finished_run import find_run
from segdistill.training.pick_device import pick_device
from segdistill.training.trained_student import load_student

IMAGES = 10_000
"""Number of images for the energy of inference, as in Niemann et al., 2023, Table 8."""

_WARM_UP = 3


@dataclass(frozen=True)
class Energy:
    """The energy of one run in kWh; None without a hardware counter.

    Attributes:
        miou: mIoU of the run, as a fraction.
        training_kwh: energy for training it alone, including the teacher's forward.
        inference_kwh: energy for predicting 10 000 images one at a time in float32.
        images: number of images measured.
        source: counter used for inference: ``nvml`` or ``rapl``.
    """

    miou: float
    training_kwh: float | None
    inference_kwh: float | None
    images: int
    source: str | None


def energy(
    runs: Sequence[str | Path],
    size: tuple[int, int],
    *,
    device: str = "auto",
    seconds: float = 20.0,
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> dict[str, Energy]:
    """Measure the energy of runs with the hardware's counters; nothing is estimated.

    The counters include everything that runs on the device, so nothing else should.

    Example::

        segdistill.energy(["runs/teacher", "runs/student-1"], (1024, 2048))

    Args:
        runs: run folders; for a teacher, the run that trained it.
        size: height and width of an image.
        device: ``cpu``, ``cuda`` or ``auto``.
        seconds: duration of the measurement per student.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.
        tell: called with progress.

    Returns:
        Energy by run folder.

    Raises:
        RunFolderError: a folder contains no finished run.
        ConfigError: there is no such device.
    """
    target = pick_device(device)
    folders = [find_run(run).folder for run in runs]
    energies: dict[str, Energy] = {}
    for done, folder in enumerate(folders, 1):
        result = read_result(folder)
        meter = EnergyMeter(target)
        joules, images = None, 0
        if meter.source is not None:
            network = load_student(folder, trust=trust).network
            joules, images = _predict(network.to(target), size, meter, seconds)
        energies[str(folder)] = Energy(
            miou=result.miou,
            training_kwh=result.energy_kwh,
            inference_kwh=None if joules is None else IMAGES * joules / images / 3.6e6,
            images=images,
            source=meter.source,
        )
        tell(Progress("measuring energy", done, len(folders), {}))
    return energies


@torch.inference_mode()
def _predict(
    network: nn.Module, size: tuple[int, int], meter: EnergyMeter, seconds: float
) -> tuple[float | None, int]:
    """Predict one image repeatedly; return the joules and the number of predictions."""
    image = torch.rand(1, 3, *size, device=next(network.parameters()).device)
    with evaluating(network):
        for _ in range(_WARM_UP):
            network(image)
        _wait(image.device)
        meter.joules()
        start, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - start < seconds:
            network(image)
            _wait(image.device)
            count += 1
        return meter.joules(), count


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
