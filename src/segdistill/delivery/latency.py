"""Latency: the duration of a forward pass, for several networks in turns."""

from __future__ import annotations

import ctypes
import math
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from segdistill.delivery.load import watch_others
from segdistill.memory import peak_memory
from segdistill.network_state import device_of, evaluating

Arithmetic = Literal["fp32", "bf16", "fp16"]
"""Arithmetic of a network; ``bf16`` and ``fp16`` by autocast."""

_FEWEST = 5  # minimum number of measured rounds, regardless of their duration

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Latency:
    """The duration of a forward pass, and the circumstances of the measurement.

    Attributes:
        median_ms: median duration of one pass over the batch, in milliseconds.
        low_ms: tenth percentile of the passes.
        high_ms: ninetieth percentile.
        images_per_second: batch size divided by the median.
        peak_mib: peak memory during warm-up without weights and images; None if the system does
            not report it.
        passes: number of measured passes.
        batch: number of images per pass.
        size: height and width of an image.
        device: name of the processor or graphics card.
        threads: number of torch threads on a CPU.
        precision: arithmetic of the passes.
        channels_last: whether the memory format was channels last.
        compiled: whether ``torch.compile`` was used.
        others: share of the machine's processors that other programs used meanwhile; from
            ``runs.result.BUSY`` on, the times are unreliable; None if unknown.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    images_per_second: float
    peak_mib: float | None
    passes: int
    batch: int
    size: tuple[int, int]
    device: str
    threads: int
    precision: Arithmetic
    channels_last: bool
    compiled: bool
    others: float | None


def measure(
    network: nn.Module,
    size: tuple[int, int],
    *,
    batch: int = 1,
    threads: int = 1,
    precision: Arithmetic = "fp32",
    channels_last: bool = True,
    compiled: bool = False,
    warm_up: int = 3,
    passes: int = 20,
) -> Latency:
    """Time forward passes of a network on the device of its parameters.

    Args:
        network: any network; its mode is restored, its memory format may change.
        size: height and width of the image.
        batch: number of images per pass.
        threads: number of torch threads during the measurement on a CPU.
        precision: ``bf16`` and ``fp16`` run under autocast.
        channels_last: use channels-last memory format, which is faster for most convolutions.
        compiled: measure ``torch.compile(network)``.
        warm_up: number of passes before the measurement.
        passes: number of measured passes.

    Raises:
        ValueError: a count is below 1, or the precision is unknown.
    """
    together = measure_together(
        {"": network},
        size,
        batch=batch,
        threads=threads,
        precision=precision,
        channels_last=channels_last,
        compiled=compiled,
        warm_up=warm_up,
        passes=passes,
    )
    return together[""]


def measure_together(
    networks: Mapping[str, nn.Module],
    size: tuple[int, int],
    *,
    batch: int = 1,
    threads: int = 1,
    precision: Arithmetic = "fp32",
    channels_last: bool = True,
    compiled: bool = False,
    warm_up: int = 3,
    passes: int = 20,
    most_seconds: float = math.inf,
) -> dict[str, Latency]:
    """Time networks in turns, so that whatever slows down the machine slows down all of them.

    In each round every network has one pass; the order rotates from round to round.

    Args:
        networks: networks by name, each given once even if several runs trained it.
        size: see :func:`measure`, as for the other arguments.
        batch: number of images per pass.
        threads: number of torch threads during the measurement on a CPU.
        precision: precision of the passes.
        channels_last: use channels-last memory format.
        compiled: measure ``torch.compile`` of each network.
        warm_up: number of passes of each network before the measurement.
        passes: number of measured rounds.
        most_seconds: start no further round after this time, but measure at least five.

    Raises:
        ValueError: a count is below 1, or the precision is unknown.
    """
    _check(batch=batch, threads=threads, passes=passes)
    if precision != "fp32" and precision not in _TYPES:
        raise ValueError(f"measure: expected precision fp32, bf16 or fp16, got {precision}")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    passing: dict[str, Callable[[], float]] = {}
    peaks: dict[str, float | None] = {}
    times: dict[str, list[float]] = {name: [] for name in networks}
    try:
        with ExitStack() as stack, torch.inference_mode():
            for name, network in networks.items():
                stack.enter_context(evaluating(network))
                network.to(memory_format=layout)  # type: ignore[call-overload]
                images = torch.rand(batch, 3, *size, device=device_of(network))
                images = images.contiguous(memory_format=layout)
                run = torch.compile(network) if compiled else network
                passing[name] = partial(_one_pass, run, images, precision)
                _give_back_freed_memory()
                with peak_memory(images.device) as peak:
                    for _ in range(warm_up):
                        passing[name]()
                peaks[name] = peak.mib
            names, started = list(networks), time.perf_counter()
            with watch_others() as others:
                for done in range(passes):
                    if done >= _FEWEST and time.perf_counter() - started > most_seconds:
                        break
                    turn = done % len(names)
                    for name in names[turn:] + names[:turn]:
                        times[name].append(passing[name]())
    finally:
        torch.set_num_threads(before)
    return {
        name: Latency(
            median_ms=(median := statistics.median(times[name])),
            low_ms=sorted(times[name])[len(times[name]) // 10],
            high_ms=sorted(times[name])[-1 - len(times[name]) // 10],
            images_per_second=1000 * batch / median,
            peak_mib=peaks[name],
            passes=len(times[name]),
            batch=batch,
            size=size,
            device=_name(device_of(network)),
            threads=threads,
            precision=precision,
            channels_last=channels_last,
            compiled=compiled,
            others=others.share,
        )
        for name, network in networks.items()
    }


def _one_pass(
    run: Callable[[torch.Tensor], object], images: torch.Tensor, precision: Arithmetic
) -> float:
    """Return the milliseconds of one pass."""
    with _autocast(images.device, precision):
        _wait(images.device)
        start = time.perf_counter()
        run(images)
        _wait(images.device)
        return 1000 * (time.perf_counter() - start)


def _give_back_freed_memory() -> None:
    """Make glibc return freed memory, because its reuse would not show in the peak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if platform.system() == "Linux" else None
    if trim is not None:
        trim(0)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _autocast(device: torch.device, precision: Arithmetic) -> AbstractContextManager[object]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _TYPES[precision])


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor()


def _processor() -> str:
    """Return the processor's name, on Linux from /proc/cpuinfo."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"measure: expected {name} of at least 1, got {value}")
