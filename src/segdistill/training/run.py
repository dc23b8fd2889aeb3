"""A run: from checked configs to run folders, resumable at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.errors import ConfigError
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.build import Data, build_cohort, build_data
from segdistill.training.cohort import fit
from segdistill.training.events import Note, Tell, silent
from segdistill.training.folder import check_folder, find_start, prepare_folder
from segdistill.training.learner import Learner
from segdistill.training.machine import build_fabric, interruptible
from segdistill.training.runlog import RunLog, build_loggers
from segdistill.training.watcher import Run, Watcher, finish


def run_cohort(
    configs: Mapping[str, RunConfig],
    out: Path,
    *,
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train the learners of a cohort, each into its own run folder.

    Args:
        configs: by learner. They share data, teacher and all of ``training`` that shapes the
            batch or the machine; a single learner may be named ``""``.
        out: folder of the cohort; a learner's run is ``out/<name>``, or ``out`` itself where
            the name is ``""``.
        resume: go on where an interrupted run of the same configs stopped.
        tell: called with what happens.

    Returns:
        The run folders, in the order of the configs.

    Raises:
        ConfigError: the configs do not share what a cohort shares.
        RunFolderError: a folder holds another run, or a run and ``resume`` was not asked.
        KeyboardInterrupt: interrupted; a checkpoint was written.
        TrainingDivergedError: a loss is not finite; the last checkpoint stays.
        DataError, ValueError, CheckpointError: from data and networks, before any folder is
            made.
    """
    first = _shared(configs)
    folders = {name: out / name if name else out for name in configs}
    for name, config in configs.items():
        check_folder(folders[name], config, resume=resume)
    if all((folder / "result.json").exists() for folder in folders.values()):
        tell(Note(f"{out}: this run is finished; nothing to do"))
        return list(folders.values())
    fabric = build_fabric(first)
    data = build_data(first)
    teacher, learners = prepare_cohort(configs, data, fabric, tell)
    start, states = find_start(list(folders.values()), tell) if resume else (0, [])
    runs = []
    for learner, (name, config) in zip(learners, configs.items(), strict=True):
        folder = folders[name]
        if fabric.is_global_zero:
            prepare_folder(folder, config)
        fabric.barrier()
        loggers = build_loggers(folder, start=start, tensorboard=config.training.tensorboard)
        runs.append(Run(config, folder, learner, RunLog(folder, start=start, loggers=loggers)))
    for run, state in zip(runs, states, strict=False):
        run.learner.restore(state["learner"])
        run.seconds, run.best = state["seconds"], state["best"]
        run.prepare_seconds = state["prepare_seconds"]
        fabric.strategy.precision.load_state_dict(state["precision"])
    with interruptible() as interrupted:
        watcher = Watcher(runs, data, fabric, tell, interrupted)
        if teacher is not None:
            watcher.prepare(teacher)
        done = fit(
            teacher,
            learners,
            data.stream,
            fabric=fabric,
            steps=first.training.steps,
            start=start,
            workers=first.data.workers,
            accumulate=first.training.accumulate,
            after=watcher,
        )
    if done < first.training.steps:
        raise KeyboardInterrupt(f"stopped after step {done}; go on with --resume")
    for run in runs:
        if fabric.is_global_zero:
            finish(run, data, fabric, tell)
    fabric.barrier()
    return list(folders.values())


def prepare_cohort(
    configs: Mapping[str, RunConfig], data: Data, fabric: Fabric, tell: Tell
) -> tuple[FrozenTeacher | None, list[Learner]]:
    """Build teacher and learners on the fabric's device and say what was inserted."""
    teacher, learners = build_cohort(configs, data.train.classes)
    section = next(iter(configs.values())).teacher
    if teacher is not None and section is not None and section.weights is None:
        tell(Note("teacher: no weights were given, so it knows what its own library loads"))
    for learner in learners:
        for name, term in learner.objective.terms.items():
            if term.inserted:
                tell(Note(f"{learner.name or 'student'}: {name} gets a {term.inserted}"))
        learner.to_device(fabric)
    return None if teacher is None else fabric.to_device(teacher), learners


def _shared(configs: Mapping[str, RunConfig]) -> RunConfig:
    """Return the first config after checking that the others share what a cohort shares."""
    if not configs:
        raise ConfigError("cohort: expected at least one learner, got none")
    first_name, first = next(iter(configs.items()))
    own = {"optimizer", "lr", "momentum", "weight_decay", "decay_norms_and_biases", "schedule"}
    own |= {"power", "warmup_steps", "clip_norm", "ema", "auxiliary_weight", "label_smoothing"}
    own |= {"seed"}
    for name, config in configs.items():
        same = config.data == first.data and config.evaluation == first.evaluation
        same &= config.teacher == first.teacher
        same &= config.training.model_dump(exclude=own) == first.training.model_dump(exclude=own)
        if not same:
            raise ConfigError(
                f"cohort.{name}: expected data, teacher, evaluation and the shared part of "
                f"training as in '{first_name}', got others; run it by itself"
            )
    return first
