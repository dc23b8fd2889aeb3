"""What a finished run still needs: the student's cost, pictures and a report."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from segdistill.api.folders import CheckedRun, find_run
from segdistill.api.load import load
from segdistill.config import RunConfig
from segdistill.delivery.cost import count
from segdistill.delivery.latency import measure
from segdistill.reporting.page import write_report
from segdistill.reporting.plots import write_run_pictures
from segdistill.runs.layout import CONFUSION_PICTURE, METRICS_PICTURE, REPORT
from segdistill.runs.result import StudentCost, read_result, write_cost
from segdistill.training.build import open_split
from segdistill.training.events import Note, Tell, silent


def complete(
    run: Path,
    config: RunConfig | None = None,
    *,
    trust: Collection[str] = (),
    tell: Tell = silent,
) -> None:
    """Do what is missing of a finished run: the student's cost, pictures and report.

    Cost is counted and timed at the size at which the network met the first scored image. Each
    file is written whole, so that what a kill left out is done by the next call.

    Args:
        run: the folder.
        config: of the run, where it is at hand; else that in the folder.
        trust: targets that the person who made the run named.
        tell: called when something was written.
    """
    counted = read_result(run).cost is not None
    drawn = (run / CONFUSION_PICTURE).exists() and (run / METRICS_PICTURE).exists()
    if counted and drawn and (run / REPORT).exists():
        return
    if not counted:
        write_cost(run, _count_cost(run, config, trust))
    if not drawn:
        write_run_pictures(run)
    write_report([run], run / REPORT, title=run.name)
    tell(Note(f"{run}: result, pictures and report written"))


def _count_cost(run: Path, config: RunConfig | None, trust: Collection[str]) -> StudentCost:
    files = find_run(run)
    config = config or files.config()
    student = load(CheckedRun(files, config, tuple(trust)))
    settings = config.evaluation
    image = open_split(config.data, settings.split)[0].image
    scale = settings.scales[0] if len(settings.scales) == 1 else 1.0
    size = round(scale * image.shape[0]), round(scale * image.shape[1])
    cost = count(student.network, size)
    return StudentCost(
        params_m=cost.params_m,
        gmacs=cost.gmacs,
        gflops=cost.gflops,
        latency_ms=measure(student.network, size, threads=1).median_ms,
        cost_size=size,
    )
