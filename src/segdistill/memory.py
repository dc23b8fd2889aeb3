"""Peak memory: of a block of code, of a process, of a device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MACHINE = Path("/proc/meminfo")


@dataclass
class Peak:
    """The peak memory of a block, filled in when it ends.

    Attributes:
        mib: the most memory in use, less what was in use when the block began, in MiB; None
            where the system does not tell.
        left_mib: the same for the memory in use when the block ends.
    """

    mib: float | None = None
    left_mib: float | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the memory that the block takes at its peak.

    On a GPU that is what torch allocated; on a CPU the resident memory of the process, which
    only Linux tells.

    Args:
        device: the device whose memory is measured.

    Yields:
        A record that is filled in when the block ends.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.mib = (torch.cuda.max_memory_allocated(device) - before) / 2**20
        peak.left_mib = (torch.cuda.memory_allocated(device) - before) / 2**20
        return
    start = _resident("VmRSS") if _reset() else None
    yield peak
    highest, now = _resident("VmHWM"), _resident("VmRSS")
    if start is not None and highest is not None and now is not None:
        peak.mib = max(0.0, (highest - start) / 1024)
        peak.left_mib = max(0.0, (now - start) / 1024)


def free_memory(device: torch.device) -> float | None:
    """Return the memory that is free, in MiB; None if the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2**20
    try:
        lines = _MACHINE.read_text().splitlines()
    except OSError:
        return None
    kib = _value(lines, "MemAvailable")
    return None if kib is None else kib / 1024


def reset_peak(device: torch.device) -> None:
    """Begin a new peak, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _reset()


def peak_memory_mib(device: torch.device) -> float | None:
    """Return the most memory in use since the last reset: of the GPU, or of this process.

    None if the system does not tell (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    highest = _resident("VmHWM")
    if highest is not None:
        return highest / 2**10
    try:
        import resource
    except ImportError:
        return None
    # ru_maxrss is in kibibytes, on macOS in bytes, and cannot be reset.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _reset() -> bool:
    """Reset the process's high-water mark to its present memory; return whether that worked."""
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True


def _resident(key: str) -> float | None:
    """Return a value of the process's status, in KiB; None if the system does not tell."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return _value(lines, key)


def _value(lines: list[str], key: str) -> float | None:
    """Return the number in the line ``key: number unit``, None without such a line."""
    values = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return float(values[0]) if values else None
