"""What the cohorts of a study cost, measured before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from segdistill.catalogue.controls import CONTROLS
from segdistill.config import RunConfig, StudyConfig
from segdistill.runs.measured import CohortCost, read_measured, remove_measured, write_measured
from segdistill.runs.study import write_study
from segdistill.studies.folder import holds_study
from segdistill.studies.local import threads_of
from segdistill.studies.runs import base_config
from segdistill.studies.work import limit_threads
from segdistill.training.events import Note, Tell
from segdistill.training.measure import measure_cohort

Costs = dict[str, CohortCost]
"""The cost of each pair's cohort."""


def measure_study(study: StudyConfig, out: Path, tell: Tell) -> Costs:
    """Return the cost of each pair's cohort, measured once and read again when resuming."""
    known = holds_study(study, out)
    costs = read_measured(out) if known else {}
    for pair in study.pairs:
        learners = costs[pair].learners if pair in costs else {}
        missing = [method for method in study.methods if method not in learners]
        if missing:
            tell(Note(f"pair {pair}: measuring a few steps of each method"))
            configs = {method: base_config(study, pair, method) for method in missing}
            with limit_threads(threads_of(study.engine, _at_once(study))):  # as for training
                measured = _measure_apart(study, configs)
            # Only the step of an added method is new; the rest was measured with the others.
            costs[pair] = replace(
                costs.get(pair, measured), learners={**learners, **measured.learners}
            )
            if not known:  # measurements of another study must not outlive its file
                remove_measured(out)
                out.mkdir(parents=True, exist_ok=True)
                write_study(out, study.tree())
                known = True
            write_measured(out, costs)
    write_study(out, study.tree())
    return costs


def _measure_apart(study: StudyConfig, configs: Mapping[str, RunConfig]) -> CohortCost:
    """Measure learners together with their teachers, those of the pair's teacher first."""
    parts = []
    for kind in ("given", "random", "own"):
        learners_of_kind = {m: c for m, c in configs.items() if teacher_of(study, m) == kind}
        if learners_of_kind:
            cost = measure_cohort(learners_of_kind)
            own = None if kind == "given" else cost.teacher_seconds
            learners = {m: replace(c, teacher_seconds=own) for m, c in cost.learners.items()}
            parts.append(replace(cost, learners=learners))
    return replace(parts[0], learners={m: c for part in parts for m, c in part.learners.items()})


def _at_once(study: StudyConfig) -> int:
    """Return the number of cohorts that are trained at the same time on this machine."""
    return study.engine.processes if study.engine.name == "local" else 1


def teacher_of(study: StudyConfig, method: str) -> Literal["given", "random", "own"]:
    """Return which teacher a method has; see :class:`segdistill.catalogue.controls.Control`."""
    control = study.methods[method].control
    return "given" if control is None else CONTROLS[control].teacher
