"""The folder of a study: is it free, does it hold this study, and may the study be extended?"""

from __future__ import annotations

from pathlib import Path

from segdistill.config import PLAIN, StudyConfig, check_study
from segdistill.config.identity import differing, identity_of_study, in_words
from segdistill.errors import ConfigError, RunFolderError
from segdistill.runs.analyses import remove_analyses
from segdistill.runs.extensions import Extension, append_extension
from segdistill.runs.identity import read_identity
from segdistill.runs.layout import LOCK
from segdistill.runs.plan import read_plan
from segdistill.runs.result import find_end
from segdistill.runs.study import (
    find_final_runs,
    has_begun,
    is_study,
    read_study_results,
    read_study_settings,
    write_study,
)
from segdistill.runs.trials import read_trials
from segdistill.studies import growth
from segdistill.studies.growth import find_extension, in_order_of
from segdistill.studies.runs import base_config
from segdistill.training.build import open_split
from segdistill.training.contents import contents_of, contents_of_split
from segdistill.training.events import Note, Tell
from segdistill.training.resume import check_contents


def claim_folder(
    study: StudyConfig, out: Path, *, resume: bool, dry_run: bool, tell: Tell
) -> StudyConfig:
    """Refuse a folder of something else, and return the study, which may have been extended.

    Raises:
        RunFolderError: the folder holds something else, or this study without ``resume``.
    """
    begun = has_begun(out)
    if not is_study(out) and any(entry.name != LOCK for entry in out.iterdir()):
        raise RunFolderError(f"{out}: expected a new or empty folder; choose another with --out")
    if not begun:
        return study
    before = _stored_study(out)
    study = in_order_of(before, study)
    extension = None
    if read_plan(out).hash != study.hash() and not holds_study(study, out):
        seen = any(find_end(run.folder) == "done" for run in find_final_runs(out))
        extension = find_extension(before, study, seen=seen)
        if extension is None:
            changed = differing(identity_of_study(before), identity_of_study(study))
            raise RunFolderError(
                f"{out}: expected a study with the same settings, got different ones: "
                f"{in_words(changed) or 'another plan'}; restore them, or choose another folder "
                "(only seeds, methods, pairs and trials can be added)"
            )
    known = read_identity(out)
    if known is not None:
        check_contents(out, known.contents, file_contents(study))
        if extension is not None or not read_study_results(out):  # something is still to train
            check_contents(out, known.contents, data_contents(study))
    if not resume:
        raise RunFolderError(
            f"{out}: expected a new folder, got a study that has started; continue with --resume"
        )
    if extension is not None:
        if dry_run:
            raise RunFolderError(
                f"{out}: expected a new folder for --dry-run, got a study that would be extended "
                f"by {growth.in_words(extension)}; leave --dry-run out"
            )
        _extend(study, out, extension, tell)
    return study


def _extend(study: StudyConfig, out: Path, extension: Extension, tell: Tell) -> None:
    """Record an extension of the study, and remove the analyses made before it."""
    used = {trial.data_seed for trial in read_trials(out)} & set(extension.seeds)
    if used:
        raise RunFolderError(
            f"{out}: expected seeds that the search did not use, got {min(used)}; choose another"
        )
    append_extension(out, extension)
    write_study(out, study.tree())
    remove_analyses(out)
    tell(Note(f"study: extended by {growth.in_words(extension)}; existing runs are kept"))


def file_contents(study: StudyConfig) -> dict[str, str]:
    """Return the SHA-256 of the files of each pair, by the key that names them."""
    method = next(method for method in study.methods if study.methods[method].distill)
    return {
        f"pairs.{pair}.{key}": digest
        for pair in study.pairs
        for key, digest in contents_of(base_config(study, pair, method)).items()
    }


def data_contents(study: StudyConfig) -> dict[str, str]:
    """Return the SHA-256 of what the study's images and masks are known by, of both splits.

    Raises:
        DataError: a split cannot be opened.
    """
    config = base_config(study, next(iter(study.pairs)), PLAIN)
    splits = {"data": config.data.train_split, "evaluation": config.evaluation.split}
    return {
        key: digest
        for section, split in splits.items()
        for key, digest in contents_of_split(open_split(config.data, split), section).items()
    }


def holds_study(study: StudyConfig, out: Path) -> bool:
    """Return whether a folder holds this study, regardless of its engine and of paths."""
    return is_study(out) and identity_of_study(_stored_study(out)) == identity_of_study(study)


def _stored_study(out: Path) -> StudyConfig:
    """Return the study stored in a folder."""
    try:
        return check_study(read_study_settings(out))
    except ConfigError as error:
        raise RunFolderError(
            f"{out}: expected a study that this release can read, got another: {error}; choose "
            "another folder with --out"
        ) from None
