"""Run folders: whose they are, and where an interrupted run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from segdistill.config import RunConfig
from segdistill.errors import CheckpointError, RunFolderError
from segdistill.files import read_json, write_json, write_whole
from segdistill.runs.checkpoint import checkpoint_file, find_checkpoints, load_checkpoint
from segdistill.training.events import Note, Tell
from segdistill.training.machine import environment

ENDS = ("result.json", "failed.json", "pruned.json")
"""What a run leaves at its end: it was trained, it diverged, or it left its cohort early."""


def ended(folder: Path) -> bool:
    """Return whether a run has come to an end and is not to be run again."""
    return any((folder / name).exists() for name in ENDS)


def check_folder(folder: Path, config: RunConfig, *, resume: bool) -> None:
    """Refuse a folder that holds anything but this run, interrupted or finished.

    Raises:
        RunFolderError: it holds other files, another run, or an unfinished one that was not
            to be resumed.
    """
    if not folder.exists():
        return
    if not (folder / "resolved.yaml").exists():
        # A run killed while it made its folder leaves these, and files half written.
        begun = {"checkpoints", "environment.json"}
        found = {entry.name for entry in folder.iterdir() if not entry.name.endswith(".tmp")}
        names = sorted(found - begun)
        if not names:
            return
        raise RunFolderError(
            f"{folder}: expected a new or empty folder, got {', '.join(names[:3])} in it; "
            "choose another with --out"
        )
    other = str(read_json(folder / "environment.json").get("config_hash"))
    if other != config.hash():
        raise RunFolderError(
            f"{folder}: expected the run {config.hash()}, got another run {other} in it; "
            "choose another folder with --out"
        )
    if not resume and not ended(folder):
        raise RunFolderError(
            f"{folder}: expected a new folder, got an unfinished run; "
            "go on with --resume, or choose another folder with --out"
        )


def prepare_folder(folder: Path, config: RunConfig) -> None:
    """Make the folder with the resolved config, its hash and the machine."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_json(folder / "environment.json", environment() | {"config_hash": config.hash()})
    write_whole(folder / "resolved.yaml", yaml.safe_dump(config.tree(), sort_keys=False))


def find_start(folders: list[Path], tell: Tell) -> tuple[int, list[dict[str, Any]]]:
    """Return the newest step at which every learner has a whole checkpoint, and the states."""
    if not any((folder / "resolved.yaml").exists() for folder in folders):
        return 0, []
    common = set.intersection(*(set(find_checkpoints(folder)) for folder in folders))
    for step in sorted(common, reverse=True):
        try:
            states = [load_checkpoint(checkpoint_file(folder, step)) for folder in folders]
        except CheckpointError as error:
            tell(Note(f"{error}; trying the one before"))
            continue
        tell(Note(f"resuming after step {step}"))
        return step, states
    tell(Note("no whole checkpoint to resume from; starting at step 0"))
    return 0, []
