"""Resuming: which run a folder belongs to, and the step from which it continues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdistill.config import RunConfig, check
from segdistill.config.identity import STEPS, differing, identity_of, in_words, other_settings
from segdistill.errors import CheckpointError, ConfigError, RunFolderError
from segdistill.files import inside
from segdistill.runs.checkpoint import checkpoint_file, find_checkpoints, load_checkpoint
from segdistill.runs.environment import write_environment
from segdistill.runs.identity import Identity, read_identity, write_identity
from segdistill.runs.layout import CHECKPOINTS, ENVIRONMENT, IDENTITY, LOCK, SETTINGS
from segdistill.runs.result import find_end, remove_result
from segdistill.runs.settings import has_settings, read_settings, write_settings
from segdistill.training.contents import contents_of, contents_of_split
from segdistill.training.devices import describe_machine
from segdistill.training.events import Note, Tell, silent
from segdistill.training.optim import learning_rate
from segdistill.types import SegDataset


def check_folder(run: Path, config: RunConfig, *, resume: bool, tell: Tell = silent) -> bool:
    """Refuse a folder that holds anything but this run, interrupted or finished.

    Runs are the same if their identity (:func:`segdistill.config.identity.identity_of`) and the
    contents of their files are equal; moved data, another device or another evaluation do not
    make another run. A run of fewer steps is extended by ``resume``.

    Args:
        run: the folder.
        config: the run that is to be trained in it.
        resume: continue an interrupted run, or a finished one that gets more steps; accept a
            finished one.
        tell: called with other changes.

    Returns:
        Whether there is something to train; False for a finished run.

    Raises:
        RunFolderError: it holds other files, another run (the differing keys are named), a run
            whose files have been replaced, or this run without ``resume``.
    """
    if not run.exists():
        return True
    if not has_settings(run):
        _check_unbegun(run)
        return True
    before, end = _read_config(run), find_end(run)
    changed = differing(identity_of(before), identity_of(config))
    steps = changed.pop(STEPS, None)
    raised = steps is not None and steps[1] > steps[0]
    more = raised and end in (None, "done")  # failed and pruned runs are not tried again
    if steps is not None and not raised:
        changed[STEPS] = steps
    if changed:
        raise RunFolderError(
            f"{run}: expected a run with the same settings, got different ones: "
            f"{in_words(changed)}; restore them, or choose another folder with --out"
        )
    known = read_identity(run)
    if known is not None:
        check_contents(run, known.contents, contents_of(config))
    if more and not resume:
        raise RunFolderError(
            f"{run}: expected a new folder, got this run with {STEPS} {before.training.steps} "
            f"(now {config.training.steps}); extend it with --resume, or choose another folder "
            "with --out"
        )
    if not resume:
        contents, advice = (
            ("an unfinished run", "continue with --resume")
            if end is None
            else ("this run, finished", "accept its results with --resume")
        )
        raise RunFolderError(
            f"{run}: expected a new folder, got {contents}; {advice}, or choose another folder "
            "with --out"
        )
    if end is not None and not more:
        _tell_unused(run, before, config, tell)
        return False
    if known is None:
        tell(
            Note(
                f"{run}: started by an older segdistill, which recorded no hashes of files; "
                "weights and code are assumed to be unchanged"
            )
        )
    others = {
        path: values
        for path, values in other_settings(before, config).items()
        if path != STEPS and not path.startswith("evaluation.")
    }
    if others:
        tell(Note(f"{run}: the same run with another {in_words(others)}"))
    if more:
        tell(Note(_extension(run, before, config)))
    return True


def check_data(run: Path, train: SegDataset) -> None:
    """Refuse data whose classes or training images have changed since a run started.

    Raises:
        RunFolderError: they have changed; both are named.
    """
    known = read_identity(run)
    if known is None or known.classes is None:
        return
    names = tuple(train.classes.names)
    if known.classes != names:
        raise RunFolderError(
            f"{run}: expected the classes with which the run started "
            f"({', '.join(known.classes)}), got {', '.join(names)}; restore their order, or choose "
            "another folder with --out"
        )
    check_contents(run, known.contents, contents_of_split(train))


def check_contents(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse files that have been replaced since a run or study started.

    Args:
        folder: folder of the run or study.
        before: earlier SHA-256 by key.
        now: present SHA-256 by key; keys that were not recorded before are not compared.

    Raises:
        RunFolderError: contents differ; names the keys and both hashes.
    """
    replaced = [key for key, digest in now.items() if before.get(key, digest) != digest]
    if replaced:
        words = [f"{key} {before[key][:12]} (now {now[key][:12]})" for key in replaced]
        raise RunFolderError(
            f"{folder}: expected files with their original contents, got others (SHA-256): "
            f"{', '.join(words)}; restore them, or choose another folder with --out"
        )


def make_folder(run: Path, config: RunConfig, train: SegDataset | None = None) -> None:
    """Make the folder with the resolved config, its hash, its identity and the machine.

    Args:
        run: the folder; the result of a run that is extended is removed until the new end.
        config: the run's config.
        train: its training data, if already opened.
    """
    inside(run, CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    known = read_identity(run) or Identity()
    extended = known.extended
    if has_settings(run) and max(find_checkpoints(run), default=0):
        steps = _read_config(run).training.steps
        if config.training.steps > steps:
            extended = tuple(dict.fromkeys((*extended, steps)))
            remove_result(run)
    contents = {**known.contents, **contents_of(config)}
    classes = known.classes
    if train is not None:
        contents |= contents_of_split(train)
        classes = tuple(train.classes.names)
    write_identity(run, Identity(contents=contents, classes=classes, extended=extended))
    write_environment(run, describe_machine(config.hash()))
    write_settings(run, config.tree())


def find_start(runs: list[Path], tell: Tell) -> tuple[int, list[dict[str, Any]]]:
    """Return the latest step at which every learner has an intact checkpoint, and the states."""
    if not any(has_settings(run) for run in runs):
        return 0, []
    common = set.intersection(*(set(find_checkpoints(run)) for run in runs))
    for step in sorted(common, reverse=True):
        try:
            states = [load_checkpoint(checkpoint_file(run, step)) for run in runs]
        except CheckpointError as error:
            tell(Note(f"{error}; trying the previous one"))
            continue
        tell(Note(f"resuming after step {step}"))
        return step, states
    tell(Note("no intact checkpoint to resume from; starting at step 0"))
    return 0, []


def _check_unbegun(run: Path) -> None:
    # A run that was killed while making its folder leaves these and partly written files.
    begun = {CHECKPOINTS, ENVIRONMENT, IDENTITY, LOCK}
    entries = {entry.name for entry in run.iterdir() if not entry.name.endswith(".tmp")}
    names = sorted(entries - begun)
    if names:
        raise RunFolderError(
            f"{run}: expected a new or empty folder, got one with {', '.join(names[:3])}; "
            "choose another with --out"
        )


def _read_config(run: Path) -> RunConfig:
    """Return the config of a run folder; keys missing in older releases get today's defaults."""
    try:
        return check(read_settings(run))
    except ConfigError as error:
        raise RunFolderError(
            f"{run}: expected a {SETTINGS} that this release can read, got another: {error}; "
            "choose another folder with --out"
        ) from None


def _tell_unused(run: Path, before: RunConfig, config: RunConfig, tell: Tell) -> None:
    """Report changed settings that have no effect on a finished run."""
    scored = {
        path: values
        for path, values in other_settings(before, config).items()
        if path.startswith("evaluation.")
    }
    if scored:
        tell(
            Note(
                f"{run}: already finished and scored with another {in_words(scored)}; score it "
                "again with segdistill evaluate"
            )
        )


def _extension(run: Path, before: RunConfig, config: RunConfig) -> str:
    old, new = before.training.steps, config.training.steps
    step = max(find_checkpoints(run), default=0)
    rates = [learning_rate(min(step, c.training.steps), c.training) for c in (before, config)]
    return (
        f"{run}: extended from {old} to {new} steps; from step {step} the learning rate is that of "
        f"a run of {new} steps ({rates[1]:.3g} instead of {rates[0]:.3g}), so the result differs "
        f"from that of a run with {new} steps from the start"
    )
