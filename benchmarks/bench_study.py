"""What a study found, with commit and machine, and its forest plot as ``docs/figures/NAME.svg``.

segdistill demo --out demo && segdistill study studies/scenes --out study
python benchmarks/bench_study.py study scenes

Run it where the study was started, since the teacher's path is in the study. ``--found`` leaves out
what is measured anew: a cohort against its parts.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

from results_file import write_result

import segdistill
from segdistill.config import StudyConfig, check_study
from segdistill.reporting.page import of_study
from segdistill.reporting.sections.forest import forest_plots
from segdistill.reporting.studies import read_study
from segdistill.runs.measured import read_measured
from segdistill.runs.plan import read_plan
from segdistill.runs.result import has_result, read_result
from segdistill.runs.student import run_of
from segdistill.runs.study import find_final_runs, read_study_results, read_study_settings
from segdistill.runs.trials import read_trials
from segdistill.studies.runs import base_config
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.measure import measure_cohort
from segdistill.training.run import prepare_cohort

ROUNDS, STEPS = 5, 8
PACKAGE = Path(segdistill.__file__).parent
FIGURES = Path(__file__).parents[1] / "docs" / "figures"


def cohort_over_parts(study: StudyConfig) -> dict[str, list[float]]:
    """Measure a cohort of all methods and its parts, interleaved; ratios of seconds a step.

    The parts are one batch, one teacher forward and each student's step, measured one student
    at a time; separate runs are each student with a batch and a teacher of its own.
    """
    pair = next(iter(study.pairs))
    configs = {method: base_config(study, pair, method) for method in study.methods}
    found: dict[str, list[float]] = {"of parts": [], "of separate runs": []}
    for _ in range(ROUNDS):
        cost = measure_cohort(configs)
        first = next(iter(configs.values()))
        fabric, data = build_fabric(first), build_data(first)
        teacher, learners = prepare_cohort(configs, data, fabric, silent)
        for step in range(STEPS):  # scenes are drawn when first asked for, which the parts had done
            data.stream.batch(step)
        taken: list[Step] = []

        def note(step: Step, taken: list[Step] = taken) -> bool:
            taken.append(step)
            return True

        fit(teacher, learners, data.stream, fabric=fabric, steps=STEPS, after=note)
        together = median(step.seconds for step in taken[2:])
        own = sum(learner.seconds for learner in cost.learners.values())
        found["of parts"].append(together / (cost.batch_seconds + cost.teacher_seconds + own))
        apart = sum(
            cost.alone(name, distils=bool(config.distill)) for name, config in configs.items()
        )
        found["of separate runs"].append(together / apart)
    return found


def teachers_of(study: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return what the run of each pair's teacher came to, where its weights are in one."""
    found = {}
    for name, pair in study.pairs.items():
        run = run_of(Path(str(pair.teacher["weights"])))
        if has_result(run):
            result = read_result(run)
            found[name] = {
                "miou": result.miou,
                "iou": dict(result.iou),
                "config_hash": result.config_hash,
                "steps": result.steps,
                "seconds": result.seconds,
                "cost": None if result.cost is None else asdict(result.cost),
            }
    return found


def class_ious(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return each method's IoU of each class, a mean over its seeds; 0 for an absent class."""
    runs: dict[str, dict[str, list[Mapping[str, float | None]]]] = {}
    for final in find_final_runs(folder):
        if has_result(final.folder):
            iou = read_result(final.folder).iou
            runs.setdefault(final.pair, {}).setdefault(final.method, []).append(iou)
    return {
        pair: {
            method: {name: fmean(iou[name] or 0.0 for iou in ious) for name in ious[0]}
            for method, ious in methods.items()
        }
        for pair, methods in runs.items()
    }


def write_forest(folder: Path, name: str) -> Path:
    """Write the study's forest plot as a file that needs no page around it."""
    (figure, *_) = forest_plots(of_study(read_study(folder)))
    style = (PACKAGE / "reporting" / "style.html").read_text()
    pairs = re.findall(r"(--s\d|--ink): light-dark\((#\w+), (#\w+)\)", style)
    light, dark = (
        "".join(f"{pair[0]}:{pair[place]};" for pair in pairs) + "color:var(--ink)"
        for place in (1, 2)
    )
    rules = (
        f"<style>svg{{{light};font-family:system-ui,sans-serif}}"
        f"@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    )
    head, body = str(figure.svg).split(">", 1)
    path = FIGURES / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{head}>{rules}{body}\n")
    return path


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("name")
    words.add_argument("--found", action="store_true", help="measure nothing")
    given = words.parse_args()
    folder: Path = given.folder
    study = check_study(read_study_settings(folder))
    values = {
        "plan": read_plan(folder).as_dict()["estimate"],
        "measured": {pair: asdict(cost) for pair, cost in read_measured(folder).items()},
        "trials": [asdict(trial) for trial in read_trials(folder)],
        "results": read_study_results(folder),
        "teachers": teachers_of(study),
        "class_iou": class_ious(folder),
        "students": {
            final.pair: asdict(cost)
            for final in find_final_runs(folder)
            if has_result(final.folder) and (cost := read_result(final.folder).cost) is not None
        },
    }
    if not given.found:
        values["cohort"] = cohort_over_parts(study)
    print(write_result(f"study_{given.name}", values), write_forest(folder, f"study_{given.name}"))


if __name__ == "__main__":
    main()
