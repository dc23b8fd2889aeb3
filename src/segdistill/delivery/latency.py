"""Latency: how long one forward pass takes."""

from __future__ import annotations

import ctypes
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from segdistill.memory import peak_memory
from segdistill.network_state import device_of, evaluating

Arithmetic = Literal["fp32", "bf16", "fp16"]
"""What a network computes in; ``bf16`` and ``fp16`` by autocast."""

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Latency:
    """The time of a forward pass, and the circumstances it was measured in.

    Attributes:
        median_ms: of one pass over the batch, in milliseconds.
        low_ms: tenth percentile of the passes.
        high_ms: ninetieth percentile.
        images_per_second: batch over the median.
        peak_mib: memory that the passes took at their peak, warm-up included, beside the
            weights and the images; None where the system does not tell.
        passes: number of measured passes.
        batch: images per pass.
        size: height and width of an image.
        device: the processor's or the graphics card's name.
        threads: of torch, on a CPU.
        precision: arithmetic of the passes.
        channels_last: whether channels lay last in memory.
        compiled: whether ``torch.compile`` was on.
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
    """Time forward passes of a network, where its parameters are.

    Args:
        network: any network; its mode is restored, its layout in memory may change.
        size: height and width of the image.
        batch: images per pass.
        threads: of torch while it measures, on a CPU.
        precision: ``bf16`` and ``fp16`` run under autocast.
        channels_last: lay channels last in memory, for most convolutions the faster way.
        compiled: measure ``torch.compile(network)``.
        warm_up: passes before the first that counts.
        passes: passes that count.

    Raises:
        ValueError: a count is below 1, or the precision is unknown.
    """
    _check(batch=batch, threads=threads, passes=passes)
    if precision != "fp32" and precision not in _TYPES:
        raise ValueError(f"measure: expected precision fp32, bf16 or fp16, got {precision}")
    device = device_of(network)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.rand(batch, 3, *size, device=device).contiguous(memory_format=layout)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with evaluating(network), torch.inference_mode(), _autocast(device, precision):
            network.to(memory_format=layout)  # type: ignore[call-overload]
            run: Callable[[torch.Tensor], object] = torch.compile(network) if compiled else network
            _give_back_freed_memory()
            with peak_memory(device) as peak:
                times = [_one_pass(run, images) for _ in range(warm_up + passes)][warm_up:]
    finally:
        torch.set_num_threads(before)
    median = statistics.median(times)
    ordered = sorted(times)
    return Latency(
        median_ms=median,
        low_ms=ordered[len(ordered) // 10],
        high_ms=ordered[-1 - len(ordered) // 10],
        images_per_second=1000 * batch / median,
        peak_mib=peak.mib,
        passes=passes,
        batch=batch,
        size=size,
        device=_name(device),
        threads=threads,
        precision=precision,
        channels_last=channels_last,
        compiled=compiled,
    )


def _one_pass(run: Callable[[torch.Tensor], object], images: torch.Tensor) -> float:
    _wait(images.device)
    start = time.perf_counter()
    run(images)
    _wait(images.device)
    return 1000 * (time.perf_counter() - start)


def _give_back_freed_memory() -> None:
    """Have glibc return freed memory, whose reuse would not show in the peak."""
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
    """Return the processor's name, from Linux's list where there is one."""
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
