"""What training cost: time, memory, energy, and what sharing the teacher saved."""

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
"""World mean of electricity in 2023 (Ember, Global Electricity Review 2024)."""

_METERS = {"nvml": "of the GPU, by NVML", "rapl": "of the processor, by RAPL"}


@dataclass(frozen=True)
class Cost:
    """Cost of one run of a group, mean over its seeds; None where it was not measured.

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
        """Emissions of that energy at the world's mean."""
        return None if self.energy_kwh is None else CO2_KG_PER_KWH * self.energy_kwh


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the costs of what was trained here, None for a single run."""
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
    """Return what cohorts took together and apart, None where no run shared anything.

    Runs that were alone are left out. A student that learns nothing from the teacher would not
    have had it alone.
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
    """Return what a finished study wrote down about its cohorts."""
    written = material.study.results.get("cost") if material.study is not None else None
    if not written:
        return None
    sums = (float(written[f"{key}_seconds"]) for key in ("together", "apart", "parts"))
    return Sharing(runs, *sums)


def meters(runs: Sequence[Run]) -> list[str]:
    """Return the names of the energy counters that were read."""
    sources = {run.result.energy_source for run in runs if run.result.energy_source is not None}
    return sorted(_METERS.get(source, source) for source in sources)
