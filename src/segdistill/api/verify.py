"""Verify: do the results of a finished study follow from its files, and was it fair?"""

from __future__ import annotations

from pathlib import Path

from segdistill.config import RunConfig
from segdistill.config.loading import check_tree
from segdistill.data.inspection import inspect_data
from segdistill.runs.search import trial_folder
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.study import find_final_runs, read_study_settings
from segdistill.runs.trials import read_trials
from segdistill.studies.verify import Fault, verify_study
from segdistill.training.build import open_split
from segdistill.training.events import Progress, Tell, silent


def verify(folder: str | Path, *, data: bool = True, tell: Tell = silent) -> list[Fault]:
    """Check a finished study against its own files and the rules of a fair comparison.

    Scores are recomputed from the confusion matrices and statistics from the scores. Hashes,
    seeds, budgets, choices and environments have to agree, and no image may occur, by content,
    both in the training and in the scored split.

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
    """
    study = Path(folder)
    read_study_settings(study)
    faults = verify_study(study)
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
            faults += [Fault("leaks", said) for said in _leaks(config, tell)]
    return faults


def _leaks(config: RunConfig, tell: Tell) -> list[str]:
    def progress(split: str, done: int, total: int) -> None:
        tell(Progress(f"reading {split}", done, total, {}))

    report = inspect_data(
        {},
        [config.data.train_split, config.evaluation.split],
        progress=progress,
        open_split=lambda split: open_split(config.data, split),
    )
    return [
        f"data: expected an image in one split, got one in several: {', '.join(group)}"
        for group in report.leaks
    ]
