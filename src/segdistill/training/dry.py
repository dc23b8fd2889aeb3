"""A dry run: everything that a real step does, nothing kept."""

from __future__ import annotations

from collections.abc import Mapping

from segdistill.config import RunConfig
from segdistill.data.inspection import inspect_splits, refuse_faults
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit
from segdistill.training.devices import build_fabric
from segdistill.training.events import Note, Tell, silent
from segdistill.training.prepare import prepare
from segdistill.training.run import prepare_cohort


def try_cohort(configs: Mapping[str, RunConfig], *, tell: Tell = silent) -> None:
    """Read every file, build every network and take one step of every stage; write nothing.

    Args:
        configs: by learner, as for :func:`segdistill.training.run.run_cohort`.
        tell: called with what was found.

    Raises:
        ConfigError, DataError, CheckpointError, TrainingDivergedError, ValueError: what would
            have stopped the run.
    """
    first = next(iter(configs.values()))
    fabric = build_fabric(first)
    data = build_data(first)
    report = inspect_splits(
        {first.data.train_split: data.train, first.evaluation.split: data.evaluation}
    )
    for line in (*report.classes, *(f"warning: {warning}" for warning in report.warnings)):
        tell(Note(line))
    refuse_faults("check", report)
    tell(Note(f"data: {len(data.train)} training and {len(data.evaluation)} scored images read"))
    teacher, learners = prepare_cohort(configs, data, fabric, tell)

    for learner in learners:
        who = learner.name or "student"

        def note_stage(done: int, steps: int, loss: float, seconds: float, who: str = who) -> None:
            tell(Note(f"{who}: first loss of the stage before training {loss:.4g}"))

        prepare(learner, teacher, data.stream, fabric=fabric, after=note_stage, most_steps=1)

    def note(step: Step) -> bool:
        for name, parts in step.losses.items():
            shown = ", ".join(f"{part} {value:.4g}" for part, value in parts.items())
            tell(Note(f"{name or 'student'}: first losses {shown}"))
        tell(Note(f"one step took {step.seconds:.2f} s, warming up included"))
        return True

    fit(
        teacher,
        learners,
        data.stream,
        fabric=fabric,
        steps=1,
        accumulate=first.training.accumulate,
        after=note,
    )
