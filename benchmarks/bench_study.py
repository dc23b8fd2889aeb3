"""What a finished study found, with commit and machine.

segdistill demo --out demo && segdistill study studies/scenes --out study
python benchmarks/bench_study.py study scenes

Run it where the study was started, since the teacher's path is in the study.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median

from results_file import write_result

from segdistill.config import StudyConfig, check_study
from segdistill.runs.measured import read_measured
from segdistill.runs.plan import read_plan
from segdistill.runs.study import read_study_results, read_study_settings
from segdistill.runs.trials import read_trials
from segdistill.studies.runs import base_config
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.measure import measure_cohort
from segdistill.training.run import prepare_cohort

ROUNDS, STEPS = 5, 8


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


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    study = check_study(read_study_settings(folder))
    values = {
        "plan": read_plan(folder).as_dict()["estimate"],
        "measured": {pair: asdict(cost) for pair, cost in read_measured(folder).items()},
        "trials": [asdict(trial) for trial in read_trials(folder)],
        "results": read_study_results(folder),
        "cohort": cohort_over_parts(study),
    }
    print(write_result(f"study_{name}", values))


if __name__ == "__main__":
    main()
