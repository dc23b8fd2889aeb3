"""Verify: do the results of a finished study follow from its files, and was it fair?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.config import DataConfig, RunConfig
from segdistill.config.ensembles import networks_of
from segdistill.config.loading import check_tree
from segdistill.data.inspection import inspect_splits
from segdistill.errors import DataError
from segdistill.reporting.study_page import changed_tables
from segdistill.runs.search import trial_folder
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.student import run_of
from segdistill.runs.study import find_final_runs, read_study_settings
from segdistill.runs.trials import read_trials
from segdistill.studies.verify import Fault, verify_study
from segdistill.training.build import open_split
from segdistill.training.events import Note, Progress, Tell, silent


def verify(folder: str | Path, *, data: bool = True, tell: Tell = silent) -> list[Fault]:
    """Check a finished study against its own files and the rules of a fair comparison.

    Scores of trials and final runs are recomputed from their confusion matrices, statistics and
    tables from the scores. Hashes, settings, files, seeds, budgets, choices and environments have
    to agree, and no image may occur, by content, both in the training and in the scored split; nor
    in the scored split and in the training images of a teacher whose run folder is still there.
    Seconds, energy, memory and latency, and the report's page, are not recomputed.

    Example::

        faults = segdistill.verify("study")
        assert not faults, faults

    Args:
        folder: folder written by ``segdistill study``.
        data: also read the images.
        tell: called with progress.

    Returns:
        The contradictions that were found; empty for a sound study.

    Raises:
        RunFolderError, ConfigError: a file of the study is missing or broken.
        DataError: the images of the study cannot be opened.
    """
    study = Path(folder)
    read_study_settings(study)
    faults = verify_study(study)
    if not any(fault.check == "results" for fault in faults):  # else the tables differ, too
        faults += [
            Fault("tables", f"{file.name}: expected what the runs say, got another table")
            for file in changed_tables(study)
        ]
    return [*faults, *_shared_images(study, tell)] if data else faults


def _shared_images(study: Path, tell: Tell) -> list[Fault]:
    """Return images that occur both in the training and in the scored split."""
    finals = [run.folder for run in find_final_runs(study)]
    trials = [
        study / trial_folder(t.pair, t.trial, t.repeat) / t.method for t in read_trials(study)
    ]
    faults = []
    for runs in (finals, trials):
        first = next((run for run in runs if has_settings(run)), None)
        if first is not None:
            config = check_tree(read_settings(first))
            faults += [Fault("leaks", said) for said in _leaks(config.data, config, tell)]
    for run, config in _teachers(finals).items():
        taught = check_tree(read_settings(run))
        if _images_of(taught.data) == _images_of(config.data):
            continue
        try:
            leaks = _leaks(taught.data, config, tell)
        except DataError as error:
            tell(Note(f"teacher {run}: its training images are not compared: {error}"))
        else:
            faults += [Fault("leaks", f"teacher {run}: {said}") for said in leaks]
    return faults


def _teachers(finals: Sequence[Path]) -> dict[Path, RunConfig]:
    """Return the run folders of teachers that are still there, each with one of its students."""
    found: dict[Path, RunConfig] = {}
    for config in (check_tree(read_settings(run)) for run in finals if has_settings(run)):
        sections = networks_of(config.teacher, "teacher") if config.teacher else {}
        for section in sections.values():
            run = None if section.weights is None else run_of(section.weights)
            if run is not None and has_settings(run):
                found.setdefault(run, config)
    return found


def _images_of(data: DataConfig) -> tuple[object, ...]:
    """Return the settings that decide which images are trained on."""
    return data.dataset, data.settings(), data.train_split, data.holdout


def _leaks(trained: DataConfig, config: RunConfig, tell: Tell) -> list[str]:
    """Return the images that data were trained on, and that a run is scored on."""

    def progress(split: str, done: int, total: int) -> None:
        tell(Progress(f"reading {split}", done, total, {}))

    report = inspect_splits(
        {
            "training images": open_split(trained, trained.train_split),
            config.evaluation.split: open_split(config.data, config.evaluation.split),
        },
        progress=progress,
    )
    return [
        f"data: expected an image in one split, got one in several: {', '.join(group)}"
        for group in report.leaks
    ]
