"""The common part of ``train`` and ``distill``: from learners' configs to finished runs."""

from __future__ import annotations

from pathlib import Path

from segdistill.api.complete import complete
from segdistill.api.folders import check_cohort_folder, choose_folder
from segdistill.config import RunConfig
from segdistill.config.loading import LoadedConfig
from segdistill.errors import RunFolderError
from segdistill.files import claim, real_path
from segdistill.reporting.page import write_report
from segdistill.runs.environment import read_environment
from segdistill.runs.layout import REPORT
from segdistill.runs.lock import is_first_process, remove_empty
from segdistill.runs.settings import Args, has_settings, read_args, write_args
from segdistill.training.events import Tell
from segdistill.training.run import run_cohort
from segdistill.trust import own_words


def run_learners(
    verb: str, loaded: LoadedConfig, out: str | Path | None, *, resume: bool, tell: Tell
) -> list[Path]:
    """Train learners on the same batches, complete their folders, and report on a cohort.

    Args:
        verb: ``train`` or ``distill``, for ``args.yaml``.
        loaded: the learners' configs.
        out: folder of the run or the cohort; ``runs/<recipe>-N`` if None.
        resume: continue where an interrupted run stopped.
        tell: called with every event.

    Returns:
        The run folders, one per learner.

    Raises:
        ConfigError, DataError, RunFolderError, TrainingDivergedError, ValueError: see
            :func:`segdistill.training.run.run_cohort`.
    """
    folder = choose_folder(loaded.source, out, resume=resume)
    learners = loaded.learners
    if "" not in learners and has_settings(folder):
        raise RunFolderError(
            f"{folder}: expected a new folder for {len(learners)} learners, got the folder of a "
            "run; choose another with --out"
        )
    if "" not in learners:
        check_cohort_folder(folder, learners)
    claim("report", [folder / REPORT])
    try:
        runs = run_cohort(learners, folder, resume=resume, tell=tell)
    finally:
        if is_first_process():
            for name, config in learners.items():
                _record_args(folder / name, config, verb, loaded)
            remove_empty(folder)  # made for a run that was refused
    if not is_first_process():
        return runs
    configs = dict(zip(runs, learners.values(), strict=True))
    words = {word for config in configs.values() for word in own_words(config.tree(), config.trust)}
    complete(runs, configs, trust=sorted(words), tell=tell)
    if runs != [folder]:
        write_report(runs, folder / REPORT, title=folder.name)
    return runs


def _record_args(run: Path, config: RunConfig, verb: str, loaded: LoadedConfig) -> None:
    """Write ``args.yaml`` to the folder of this run if it has none yet."""
    if read_args(run) is not None or read_environment(run).config_hash != config.hash():
        return
    source = Path(loaded.source)
    paths = {"source": source if source.is_file() else None, "out": run}
    paths["data.root"] = config.data.settings().get("root")
    if config.data.unlabelled is not None:
        paths["data.unlabelled.root"] = config.data.unlabelled.settings().get("root")
    for section in ("teacher", "student"):
        network = getattr(config, section)
        for key in ("weights", "backbone_weights"):
            paths[f"{section}.{key}"] = None if network is None else getattr(network, key)
    named = {name: _whole_path(path) for name, path in paths.items() if path}
    write_args(run, Args(verb, loaded.source, loaded.overrides, named))


def _whole_path(path: str | Path) -> str:
    # A file in an installed package keeps its name with the package.
    return str(path) if str(path).startswith("package:") else str(real_path(path))
