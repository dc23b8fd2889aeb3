"""Completing finished runs: their students' costs, pictures and reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from torch import nn

from segdistill.api.load import load
from segdistill.api.untrained import build_untrained
from segdistill.config import NetworkConfig, RunConfig
from segdistill.config.ensembles import networks_of
from segdistill.delivery.cost import count
from segdistill.delivery.latency import Latency, measure_together
from segdistill.reporting.page import write_report
from segdistill.reporting.plots import write_run_pictures
from segdistill.runs.layout import CONFUSION_PICTURE, METRICS_PICTURE, REPORT
from segdistill.runs.result import StudentCost, read_result, write_cost
from segdistill.training.build import open_split
from segdistill.training.events import Note, Tell, silent
from segdistill.training.finished_run import CheckedRun, find_run
from segdistill.trust import check_from_file

_MOST_SECONDS = 20.0  # limit for timing, except for five passes of each network
_TEACHER = "teacher"


def complete(
    runs: Sequence[Path],
    configs: Mapping[Path, RunConfig] | None = None,
    *,
    trust: Collection[str] = (),
    tell: Tell = silent,
) -> None:
    """Add what is missing in finished runs: the students' costs, pictures and reports.

    Cost is counted and timed at the size of the first scored image, once for each distinct
    network; all networks and their teacher are timed in turns. Files are written atomically, so
    that the next call completes what an interrupted one left out.

    Args:
        runs: the run folders.
        configs: the configs of the runs, if already loaded; by default those in the folders.
        trust: targets that the user has trusted.
        tell: called when something has been written.
    """
    counted: set[Path] = set()
    if any(read_result(run).cost is None for run in runs):
        checked = {run: _check(run, configs or {}, trust) for run in runs}
        for alike in _timed_together(checked):
            if any(read_result(run).cost is None for run in alike):
                # Runs timed earlier are timed again, because times are only comparable in turns.
                counted |= set(alike)
                for run, cost in _costs({run: checked[run] for run in alike}, tell).items():
                    write_cost(run, cost)
    for run in runs:
        drawn = (run / CONFUSION_PICTURE).exists() and (run / METRICS_PICTURE).exists()
        if run not in counted and drawn and (run / REPORT).exists():
            continue
        if not drawn:
            write_run_pictures(run)
        write_report([run], run / REPORT, title=run.name)
        tell(Note(f"{run}: result, pictures and report written"))


def _check(run: Path, configs: Mapping[Path, RunConfig], trust: Collection[str]) -> CheckedRun:
    files = find_run(run)
    return CheckedRun(files, configs.get(run) or files.config(), tuple(trust))


def _timed_together(checked: Mapping[Path, CheckedRun]) -> list[list[Path]]:
    """Group runs that are timed together: equal data, scoring and teacher."""
    alike: dict[str, list[Path]] = {}
    for run, entry in checked.items():
        data = entry.config.data.model_copy(update={"seed": 0})
        parts = [data, entry.config.evaluation, entry.config.teacher]
        key = "".join("" if part is None else part.model_dump_json() for part in parts)
        alike.setdefault(key, []).append(run)
    return [*alike.values()]


def _costs(checked: Mapping[Path, CheckedRun], tell: Tell) -> dict[Path, StudentCost]:
    """Return the cost of each run; networks with the same settings are measured once."""
    config = next(iter(checked.values())).config
    settings = config.evaluation
    split = open_split(config.data, settings.split)
    image = split[0].image
    scale = settings.scales[0] if len(settings.scales) == 1 else 1.0
    size = round(scale * image.shape[0]), round(scale * image.shape[1])
    names = {run: _key(entry.config.student) for run, entry in checked.items()}
    networks: dict[str, nn.Module] = {}
    for run, entry in checked.items():
        if names[run] not in networks:
            networks[names[run]] = load(entry).network
    counted = {name: count(network, size) for name, network in networks.items()}
    teaching = next((run for run, entry in checked.items() if entry.config.distill), None)
    if teaching is not None and config.teacher is not None:
        for network in networks_of(config.teacher).values():
            check_from_file(network.network, checked[teaching].trust, teaching)
        networks[_TEACHER] = build_untrained(config.teacher, len(split.classes))
    tell(Note(f"timing {len(networks)} networks in turns"))
    began = datetime.now(UTC).isoformat(timespec="seconds")
    timed = measure_together(networks, size, threads=1, most_seconds=_MOST_SECONDS)
    return {
        run: _cost(
            StudentCost(**asdict(counted[name]), cost_size=size),
            timed[name],
            timed.get(_TEACHER),
            began,
        )
        for run, name in names.items()
    }


def _key(section: NetworkConfig) -> str:
    return section.model_copy(update={"weights": None, "backbone_weights": None}).model_dump_json()


def _cost(cost: StudentCost, own: Latency, teacher: Latency | None, began: str) -> StudentCost:
    cost = replace(
        cost,
        latency_ms=own.median_ms,
        latency_low_ms=own.low_ms,
        latency_high_ms=own.high_ms,
        latency_others=own.others,
        timed=began,
    )
    if teacher is None:
        return cost
    return replace(
        cost,
        teacher_latency_ms=teacher.median_ms,
        teacher_latency_low_ms=teacher.low_ms,
        teacher_latency_high_ms=teacher.high_ms,
    )
