"""A run: from checked configs to run folders, resumable at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.config.ensembles import networks_of
from segdistill.config.splits import shared_splits
from segdistill.data.data_report import refuse_faults
from segdistill.data.inspection import inspect_splits
from segdistill.errors import CheckpointError, ConfigError
from segdistill.files import inside
from segdistill.memory import reset_peak
from segdistill.models.frozen import FrozenTeacher
from segdistill.runs.checkpoint import checkpoint_file
from segdistill.runs.lock import hold_folder, is_first_process
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, build_cohort, build_data
from segdistill.training.cohort import fit, to_float
from segdistill.training.devices import EMULATED, build_fabric, emulates
from segdistill.training.events import Note, Tell, silent
from segdistill.training.finish import finish, save_weights
from segdistill.training.hooks import Hooks, Prune, never
from segdistill.training.interrupts import interruptible
from segdistill.training.learner import Learner
from segdistill.training.loggers.build import build_loggers, check_loggers
from segdistill.training.open_cache import open_cache
from segdistill.training.resume import check_data, check_folder, find_start, make_folder
from segdistill.training.runlog import RunLog
from segdistill.training.sharing import shared
from segdistill.trust import CODE

_SAMPLE = 16  # images per split; reading them takes a second or two on a large dataset


def run_cohort(
    configs: Mapping[str, RunConfig],
    out: Path,
    *,
    resume: bool = False,
    tell: Tell = silent,
    keep_going: bool = False,
    prune: Prune = never,
) -> list[Path]:
    """Train the learners of a cohort, each into its own run folder.

    Args:
        configs: configs by learner. They share data, teacher and the part of ``training`` that
            determines the batch or the machine; a single learner may be named ``""``.
        out: folder of the cohort; a learner's run is ``out/<name>``, or ``out`` itself if the
            name is ``""``.
        resume: continue where an interrupted run of the same configs stopped.
        tell: called with every event.
        keep_going: let a learner that diverges leave the cohort, with ``failed.json`` in its
            folder, while the others continue.
        prune: called after each score during training; if it returns True, the learner leaves,
            with ``pruned.json`` in its folder.

    Returns:
        The run folders, in the order of the configs.

    Raises:
        ConfigError: the configs do not share what a cohort shares.
        RunFolderError: a folder holds another run, or this run without ``resume``, or another
            process writes to it.
        KeyboardInterrupt: interrupted; a checkpoint was written.
        TrainingDivergedError: a loss is not finite, without ``keep_going``; the last checkpoint
            is kept.
        DataError, ValueError, CheckpointError: problems with data or networks, before any folder
            is made.
    """
    first = _shared(configs)
    check_loggers(first.training)
    with ExitStack() as held:
        if is_first_process():
            for folder in _folders(configs, out).values():
                held.enter_context(hold_folder(folder))
        return _run_cohort(configs, first, out, resume, tell, keep_going, prune)


def _run_cohort(
    configs: Mapping[str, RunConfig],
    first: RunConfig,
    out: Path,
    resume: bool,
    tell: Tell,
    keep_going: bool,
    prune: Prune,
) -> list[Path]:
    folders = _folders(configs, out)
    configs = {
        name: config
        for name, config in configs.items()
        if check_folder(folders[name], config, resume=resume, tell=tell)
    }
    if not configs:
        tell(Note(f"{out}: this run is finished; nothing to do"))
        return list(folders.values())

    # Everything that can be refused is refused here, before anything is written.
    fabric = build_fabric(first)
    out = Path(fabric.broadcast(str(out)))  # where the first process claimed a number
    folders = _folders(folders, out)
    reset_peak(fabric.device)
    data = build_data(first)
    for name in configs:
        check_data(folders[name], data.train)
    if not resume:
        check_sample(first, data)
    teacher, learners = prepare_cohort(configs, data, fabric, tell)
    cache = open_cache(first, teacher, data, fabric, tell)

    start, states = 0, list[dict[str, Any]]()
    if resume:
        if fabric.is_global_zero:
            start, states = find_start([folders[name] for name in configs], tell)
        # The other processes may be on machines that have no such folder.
        start, states = fabric.broadcast((start, states))
    runs = []
    for learner, config in zip(learners, configs.values(), strict=True):
        runs.append(_open_run(learner, config, folders[learner.name], start, data, fabric))
    for run, state in zip(runs, states, strict=False):
        _restore(run, state, start, data, fabric)

    if emulates(fabric, first.training.precision):
        tell(Note(EMULATED))
    with interruptible() as interrupted:
        hooks = Hooks(
            runs, data, teacher, fabric, tell, interrupted, prune=prune, keep_going=keep_going
        )
        hooks.before_training(start)
        if teacher is not None:
            hooks.prepare(teacher)
        hooks.compile(teacher, start=start, cached=cache is not None)
        done = fit(
            teacher,
            hooks.learners,
            data.stream,
            fabric=fabric,
            cache=cache,
            steps=first.training.steps,
            start=start,
            workers=first.data.workers,
            accumulate=first.training.accumulate,
            reads=hooks.reads,
            after=hooks.after_step,
            diverged=hooks.diverged,
        )

        stopped = hooks.is_stopping()
    if cache is not None:
        tell(Note(cache.summary()))

    # Every student is saved before any is scored, because scoring may fail.
    if fabric.is_global_zero and done == first.training.steps:
        for run in runs:
            save_weights(run, data)
    # Also after the last step or without learners: the caller may have other cohorts to train.
    if stopped or (runs and done < first.training.steps):
        raise KeyboardInterrupt(f"stopped after step {done}; continue with --resume")
    for run in runs:
        finish(run, data, fabric, tell)
    fabric.barrier()
    return list(folders.values())


def _folders(names: Iterable[str], out: Path) -> dict[str, Path]:
    """Return the run folder of each learner."""
    return {name: inside(out, name) if name else out for name in names}


def check_sample(config: RunConfig, data: Data) -> None:
    """Inspect a sample of the data, so that faults are found before training.

    Raises:
        DataError: a fault that would stop the run or spoil its result; see
            :func:`segdistill.data.inspection.inspect_splits`.
    """
    splits = {config.data.train_split: data.train, config.evaluation.split: data.evaluation}
    skip = config.data.on_error == "skip"
    refuse_faults("train", inspect_splits(splits, sample=_SAMPLE, skip_broken=skip))


def _open_run(
    learner: Learner, config: RunConfig, folder: Path, start: int, data: Data, fabric: Fabric
) -> ActiveRun:
    """Make the run's folder and open its log."""
    if fabric.is_global_zero:
        make_folder(folder, config, data.train)
    fabric.barrier()
    writes = fabric.is_global_zero
    loggers = build_loggers(folder, config) if writes else []
    log = RunLog(folder, start=start, loggers=loggers, writes=writes)
    return ActiveRun(config, folder, learner, log)


def _restore(
    run: ActiveRun, state: Mapping[str, Any], step: int, data: Data, fabric: Fabric
) -> None:
    """Restore a run from a checkpoint.

    Raises:
        CheckpointError: it is intact, but belongs to another run.
    """
    try:
        run.restore(state)
        fabric.strategy.precision.load_state_dict(state["precision"])
        data.stream.restore_skipped(state.get("skipped", [{}, {}]))  # older ones have none
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise CheckpointError(
            f"{checkpoint_file(run.folder, step)}: expected the state of this run, got another "
            f"({type(error).__name__}: {reason[:200]}); delete the file, and continue from the "
            "previous one with --resume"
        ) from error


def prepare_cohort(
    configs: Mapping[str, RunConfig], data: Data, fabric: Fabric, tell: Tell
) -> tuple[FrozenTeacher | None, list[Learner]]:
    """Build teacher and learners on the fabric's device, ready to run.

    ``tell`` is called with what was inserted and which parts of the teacher were not rewritten.
    """
    teacher, learners = build_cohort(configs, data.train.classes, tell, train=data.train)
    first = next(iter(configs.values()))
    both = shared_splits(first.data.train_split, first.evaluation.split)
    if both:
        tell(
            Note(f"evaluation.split: {' and '.join(both)} is trained on, so the score is too high")
        )
    section = first.teacher
    for where, network in networks_of(section, "teacher").items() if teacher and section else ():
        if network.untrained:
            tell(Note(f"{where}: untrained, as requested"))
        elif network.weights is None and network.network.startswith(CODE):
            tell(Note(f"{where}: no weights were given; it has those that your own code loads"))
    for learner in learners:
        for name, term in learner.objective.terms.items():
            if term.inserted:
                tell(Note(f"{learner.name or 'student'}: {name} gets a {term.inserted}"))
        learner.to_device(fabric)
    if teacher is None or section is None:
        return None, learners
    # Batch 0 even when a run resumes, so that the teacher ends up the same.
    images = to_float(data.stream.batch(0).images[:1])
    divided = section.shard and fabric.world_size > 1
    if not divided:
        fabric.to_device(teacher)
        images = fabric.to_device(images)
    if section.cache is not None:
        teacher.identify()
    for sentence in teacher.prepare(images):
        tell(Note(sentence))
    if divided:
        teacher.shard(images, fabric.device)
        tell(Note(f"teacher: its weights are sharded over {fabric.world_size} processes"))
    return teacher, learners


def _shared(configs: Mapping[str, RunConfig]) -> RunConfig:
    """Return the first config after checking that the others share what a cohort shares."""
    if not configs:
        raise ConfigError("cohort: expected at least one learner, got none")
    first_name, first = next(iter(configs.items()))
    for name, config in configs.items():
        if shared(config) != shared(first):
            raise ConfigError(
                f"cohort.{name}: expected the same data, teacher, evaluation and shared part of "
                f"training as '{first_name}', got others; run it separately"
            )
    return first
