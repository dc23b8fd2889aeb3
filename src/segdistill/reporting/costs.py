"""What training cost: time, memory, energy, and what sharing the teacher saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from segdistill.reporting.groups import Group
from segdistill.reporting.runs import Run

CO2_KG_PER_KWH = 0.48
"""World mean of electricity in 2023 (Ember, Global Electricity Review 2024)."""


_METERS = {"nvml": "of the GPU, by NVML", "rapl": "of the processor, by RAPL"}


@dataclass(frozen=True)
class Cost:
    """Cost of one run of a group, mean over its seeds; None is what nobody measured.

    Attributes:
        label: of the group.
        color: of the group, a CSS variable.
        seconds: of training as if the run were alone.
        shared_seconds: of them reading, and the teacher's forward where it learns from one.
        peak_memory_mib: of the cohort; a learner has none by itself.
        energy_kwh: by the machine's counter.
    """

    label: str
    color: str
    seconds: float | None
    shared_seconds: float | None
    peak_memory_mib: float | None
    energy_kwh: float | None

    @property
    def co2_kg(self) -> float | None:
        """Of that energy at the world's mean."""
        return None if self.energy_kwh is None else CO2_KG_PER_KWH * self.energy_kwh


@dataclass(frozen=True)
class Sharing:
    """Seconds of training of many runs.

    Attributes:
        runs: how many, those left out that were alone or of which the parts are not known.
        together: what they took, the shared part once a cohort.
        apart: what they would have taken one by one.
        parts: what one reading, one teacher and all students' steps take, as they were
            measured one by one before; None where they were not.
    """

    runs: int
    together: float
    apart: float
    parts: float | None


def cost(group: Group, color: str) -> Cost:
    """Return the mean cost of a group's runs."""
    seconds, own = group.mean("seconds"), group.mean("own_seconds")
    return Cost(
        label=group.label,
        color=color,
        seconds=seconds,
        shared_seconds=None if seconds is None or own is None else seconds - own,
        peak_memory_mib=group.mean("peak_memory_mib"),
        energy_kwh=group.mean("energy_kwh"),
    )


def sharing(runs: Sequence[Run]) -> Sharing | None:
    """Return what cohorts took together and apart, None where no run shared anything.

    Runs in one folder that waited for the same batches, to the last digit of the clock, were a
    cohort. A student that learns nothing from the teacher would not have had it alone.
    """
    cohorts: dict[tuple[Path, float, float], list[tuple[float, float]]] = {}
    for run in runs:
        result = run.result
        if result.get("own_seconds") is not None:
            shared = result["batch_seconds"], result["teacher_seconds"]
            parts = result["own_seconds"], result["seconds"]
            cohorts.setdefault((run.folder.resolve().parent, *shared), []).append(parts)
    found = {key: parts for key, parts in cohorts.items() if len(parts) > 1}
    if not found:
        return None
    together = fsum(
        batch + teacher + fsum(own for own, _ in parts)
        for (_, batch, teacher), parts in found.items()
    )
    apart = fsum(alone for parts in found.values() for _, alone in parts)
    return Sharing(sum(map(len, found.values())), together, apart, None)


def meters(runs: Sequence[Run]) -> list[str]:
    """Return the names of the energy counters that were read."""
    found = {run.result.get("energy_source") for run in runs} - {None}
    return sorted(_METERS.get(str(source), str(source)) for source in found)
