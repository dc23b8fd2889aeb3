"""Run folders: whose they are, and the step from which an interrupted run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segdistill.config import RunConfig
from segdistill.errors import CheckpointError, RunFolderError
from segdistill.files import inside
from segdistill.runs.checkpoint import checkpoint_file, find_checkpoints, load_checkpoint
from segdistill.runs.environment import read_environment, write_environment
from segdistill.runs.layout import CHECKPOINTS, ENVIRONMENT, LOCK
from segdistill.runs.result import find_end
from segdistill.runs.settings import has_settings, write_settings
from segdistill.training.devices import describe_machine
from segdistill.training.events import Note, Tell


def check_folder(run: Path, config: RunConfig, *, resume: bool) -> None:
    """Refuse a folder that holds anything but this run, interrupted or finished.

    Raises:
        RunFolderError: it holds other files, another run, or an unfinished one that was not
            to be resumed.
    """
    if not run.exists():
        return
    if not has_settings(run):
        # A run killed while it made its folder leaves these, and files half written.
        begun = {CHECKPOINTS, ENVIRONMENT, LOCK}
        entries = {entry.name for entry in run.iterdir() if not entry.name.endswith(".tmp")}
        names = sorted(entries - begun)
        if not names:
            return
        raise RunFolderError(
            f"{run}: expected a new or empty folder, got {', '.join(names[:3])} in it; "
            "choose another with --out"
        )
    other = read_environment(run).config_hash
    if other != config.hash():
        raise RunFolderError(
            f"{run}: expected the run {config.hash()}, got another run {other} in it; "
            "choose another folder with --out"
        )
    if not resume and find_end(run) is None:
        raise RunFolderError(
            f"{run}: expected a new folder, got an unfinished run; "
            "go on with --resume, or choose another folder with --out"
        )


def make_folder(run: Path, config: RunConfig) -> None:
    """Make the folder with the resolved config, its hash and the machine."""
    inside(run, CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    write_environment(run, describe_machine(config.hash()))
    write_settings(run, config.tree())


def find_start(runs: list[Path], tell: Tell) -> tuple[int, list[dict[str, Any]]]:
    """Return the newest step at which every learner has a whole checkpoint, and the states."""
    if not any(has_settings(run) for run in runs):
        return 0, []
    common = set.intersection(*(set(find_checkpoints(run)) for run in runs))
    for step in sorted(common, reverse=True):
        try:
            states = [load_checkpoint(checkpoint_file(run, step)) for run in runs]
        except CheckpointError as error:
            tell(Note(f"{error}; trying the one before"))
            continue
        tell(Note(f"resuming after step {step}"))
        return step, states
    tell(Note("no whole checkpoint to resume from; starting at step 0"))
    return 0, []
