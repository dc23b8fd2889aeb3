"""Energy meters that read hardware counters; energy is never estimated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

_RAPL = Path("/sys/class/powercap")


class EnergyMeter:
    """Energy used since the last reading, from a hardware counter.

    On an NVIDIA GPU this is the driver's counter for that card (Volta and later, with the package
    nvidia-ml-py), on a CPU the counter of its packages (RAPL, if Linux permits reading it). Both
    count everything that runs there, including other programs.

    Args:
        device: the device to measure.
        rapl: folder of Linux's power capping interface.

    Attributes:
        source: name of the counter, or None if there is none.
    """

    def __init__(self, device: torch.device, *, rapl: Path = _RAPL) -> None:
        read = _nvml(device) if device.type == "cuda" else _packages(rapl)
        self.source: Literal["nvml", "rapl"] | None = None
        self._read = read
        if read is not None:
            self.source = "nvml" if device.type == "cuda" else "rapl"
            self._last = read()

    def joules(self) -> float | None:
        """Return the energy since the last call or the meter's creation; None without a counter.

        A counter that has overflowed or was reset in between counts as no energy.
        """
        if self._read is None:
            return None
        now = self._read()
        used, self._last = max(0.0, now - self._last), now
        return used


def _nvml(device: torch.device) -> Callable[[], float] | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        name = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3  # from mJ


def _packages(rapl: Path) -> Callable[[], float] | None:
    # intel-rapl:0 is a whole package (on AMD too), intel-rapl:0:0 a part of it.
    names = (path for path in rapl.glob("intel-rapl:*") if path.name.count(":") == 1)
    counters = [path / "energy_uj" for path in names]
    try:
        for counter in counters:
            int(counter.read_text())
    except (OSError, ValueError):
        return None
    if not counters:
        return None
    return lambda: sum(int(counter.read_text()) for counter in counters) / 1e6
