"""The cost of training: time, memory, energy, and the savings by sharing the teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.reporting.runs import Run
from segdistill.runs.result import Result
from segdistill.studies.summary import Sharing, share

CO2_KG_PER_KWH = 0.48
"""kg of CO2 per kWh, world average of 2023 (Ember, Global Electricity Review 2024)."""

_METERS = {"nvml": "of the GPU, by NVML", "rapl": "of the processor, by RAPL"}


@dataclass(frozen=True)
class Cost:
    """Cost of one run of a group, averaged over its seeds; None if it was not measured.

    Attributes:
        label: label of the group.
        color: colour of the group, a CSS variable.
        seconds: duration of training as if the run were alone.
        shared_seconds: the part for reading, and for the teacher's forward if it has a teacher.
        peak_memory_mib: peak memory of the cohort, since learners are not measured separately.
        energy_kwh: energy according to the machine's counter.
    """

    label: str
    color: str
    seconds: float | None
    shared_seconds: float | None
    peak_memory_mib: float | None
    energy_kwh: float | None

    @property
    def co2_kg(self) -> float | None:
        """Emissions of that energy at the world average."""
        return None if self.energy_kwh is None else CO2_KG_PER_KWH * self.energy_kwh


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the costs of the runs trained here, None for a single run."""
    groups = material.trained
    runs = [run for group in groups for run in group.runs]
    if len(runs) < 2:
        return None
    return {
        "costs": [cost(group, material.colors[group.label]) for group in groups],
        "sharing": _study_sharing(material, len(runs)) or sharing(runs),
        "several": material.several_seeds,
        "metered": meters(runs),
        "co2_per_kwh": CO2_KG_PER_KWH,
    }


def cost(group: Group, color: str) -> Cost:
    """Return the mean cost of a group's runs."""
    mean_of = group.summary.mean_of
    seconds, own = mean_of("seconds"), mean_of("own_seconds")
    return Cost(
        label=group.label,
        color=color,
        seconds=seconds,
        shared_seconds=None if seconds is None or own is None else seconds - own,
        peak_memory_mib=mean_of("peak_memory_mib"),
        energy_kwh=mean_of("energy_kwh"),
    )


def sharing(runs: Sequence[Run]) -> Sharing | None:
    """Return the time of cohorts together and apart, None if no run shared anything.

    Runs outside of cohorts are left out. A plain student alone would not have needed the teacher.
    """
    cohorts: dict[tuple[Path, float | None, float | None], dict[str, Result]] = {}
    for run in runs:
        result = run.result
        if result.own_seconds is not None:
            shared = result.batch_seconds, result.teacher_seconds
            key = (run.folder.resolve().parent, *shared)
            cohorts.setdefault(key, {})[run.folder.name] = result
    several = [results for results in cohorts.values() if len(results) > 1]
    return share(several) if several else None


def _study_sharing(material: Material, runs: int) -> Sharing | None:
    """Return the record of a finished study about its cohorts."""
    written = material.study.results.get("cost") if material.study is not None else None
    if not written:
        return None
    sums = (float(written[f"{key}_seconds"]) for key in ("together", "apart", "parts"))
    return Sharing(runs, *sums)


def meters(runs: Sequence[Run]) -> list[str]:
    """Return the names of the energy counters that were read."""
    sources = {run.result.energy_source for run in runs if run.result.energy_source is not None}
    return sorted(_METERS.get(source, source) for source in sources)
