"""Train and distil: a config becomes finished run folders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from segdistill.api.places import CheckedRun, choose_folder, find_run
from segdistill.api.saved import load_run
from segdistill.config import RunConfig
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.delivery.cost import count
from segdistill.delivery.latency import measure
from segdistill.errors import ConfigError, RunFolderError
from segdistill.files import claim
from segdistill.reporting.page import write_report
from segdistill.reporting.plots import write_run_pictures
from segdistill.runs.environment import read_environment
from segdistill.runs.layout import ANALYSES, CONFUSION_PICTURE, METRICS_PICTURE, REPORT, SETTINGS
from segdistill.runs.lock import remove_empty
from segdistill.runs.result import StudentCost, read_result, write_cost
from segdistill.runs.settings import Args, has_settings, read_args, write_args
from segdistill.training.build import open_split
from segdistill.training.events import Note, Tell, silent
from segdistill.training.run import run_cohort
from segdistill.trust import own_words


def train(
    source: str | Path | LoadedConfig,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train the ``student`` of a config without a teacher: a teacher-to-be, or a baseline.

    Args:
        source: config file, name of a recipe, or a loaded config; its ``teacher`` and
            ``distill`` are left out, and learners of a cohort that are the same without them
            are trained once.
        out: run folder; ``runs/<recipe>-N`` by default.
        overrides: ``a.b=value`` words.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        resume: go on where an interrupted run stopped.
        tell: called with what happens.

    Returns:
        The run folders, one a learner.

    Raises:
        ConfigError, DataError, RunFolderError, TrainingDivergedError, ValueError: see
            :func:`segdistill.training.run.run_cohort`.
        OverwriteError: the folder holds a ``report.html`` that no report wrote.
    """
    loaded = load_config(source, overrides, trust=trust)
    plain: dict[str, RunConfig] = {}
    for name, config in loaded.learners.items():
        alone = config.model_copy(update={"teacher": None, "distill": ()})
        if alone not in plain.values():
            plain[name] = alone
    if len(plain) == 1:
        plain = {"": next(iter(plain.values()))}
    return _run("train", replace(loaded, learners=plain), out, resume=resume, tell=tell)


def distill(
    source: str | Path | LoadedConfig,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train a student, or a cohort of students, under a teacher.

    Args and errors as :func:`train`; also refuses a config in which nothing is distilled.
    """
    loaded = load_config(source, overrides, trust=trust)
    if not any(config.distill for config in loaded.learners.values()):
        raise ConfigError(
            f"{loaded.source}: expected at least one term under 'distill', got none; "
            "use segdistill train for a network without a teacher"
        )
    return _run("distill", loaded, out, resume=resume, tell=tell)


def _run(
    verb: str, loaded: LoadedConfig, out: str | Path | None, *, resume: bool, tell: Tell
) -> list[Path]:
    folder = choose_folder(loaded.source, out, resume=resume)
    learners = loaded.learners
    if "" not in learners and has_settings(folder):
        raise RunFolderError(
            f"{folder}: expected a new folder for {len(learners)} learners, got one that holds a "
            "run; choose another with --out"
        )
    if "" not in learners:
        check_cohort_folder(folder, learners)
    claim("report", [folder / REPORT])
    try:
        runs = run_cohort(learners, folder, resume=resume, tell=tell)
    finally:
        for name, config in learners.items():
            _record_args(folder / name, config, verb, loaded)
        remove_empty(folder)  # claimed for a run that was refused
    for run, config in zip(runs, learners.values(), strict=True):
        complete(run, config, trust=own_words(config.tree(), config.trust), tell=tell)
    if runs != [folder]:
        write_report(runs, folder / REPORT, title=folder.name)
    return runs


def _record_args(run: Path, config: RunConfig, verb: str, loaded: LoadedConfig) -> None:
    """Write ``args.yaml`` into a folder that holds this run and has none yet."""
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
    # A file in an installed package stays named by its package.
    return str(path) if str(path).startswith("package:") else str(Path(path).resolve())


def check_cohort_folder(folder: Path, learners: Collection[str]) -> None:
    """Refuse a folder that holds anything but runs, folders of runs, and what is made of them.

    Args:
        folder: of the cohort.
        learners: names of the runs to come.

    Raises:
        RunFolderError: names what else is in it.
    """
    made = {*learners, ANALYSES, REPORT}
    foreign = sorted(
        entry.name
        for entry in (folder.iterdir() if folder.exists() else ())
        if not entry.name.startswith(".")
        and entry.name not in made
        and not any(entry.glob(f"**/{SETTINGS}"))
    )
    if foreign:
        raise RunFolderError(
            f"{folder}: expected a new folder or one of runs, got {', '.join(foreign[:3])} in it; "
            "choose another with --out"
        )


def complete(
    run: Path,
    config: RunConfig | None = None,
    *,
    trust: Collection[str] = (),
    tell: Tell = silent,
) -> None:
    """Do what is missing of a finished run: the student's cost, pictures and report.

    Cost is counted and timed at the size at which the network met the first scored image. Each
    file is written whole, so that what a kill left out is done by the next call.

    Args:
        run: the folder.
        config: of the run, where it is at hand; else that in the folder.
        trust: targets that the person who made the run named.
        tell: called when something was written.
    """
    counted = read_result(run).cost is not None
    drawn = (run / CONFUSION_PICTURE).exists() and (run / METRICS_PICTURE).exists()
    if counted and drawn and (run / REPORT).exists():
        return
    if not counted:
        write_cost(run, _count_cost(run, config, trust))
    if not drawn:
        write_run_pictures(run)
    write_report([run], run / REPORT, title=run.name)
    tell(Note(f"{run}: result, pictures and report written"))


def _count_cost(run: Path, config: RunConfig | None, trust: Collection[str]) -> StudentCost:
    files = find_run(run)
    loaded = load_run(CheckedRun(files, config or files.config(), tuple(trust)))
    settings = loaded.config.evaluation
    image = open_split(loaded.config.data, settings.split)[0].image
    scale = settings.scales[0] if len(settings.scales) == 1 else 1.0
    size = round(scale * image.shape[0]), round(scale * image.shape[1])
    cost = count(loaded.network, size)
    return StudentCost(
        params_m=cost.params_m,
        gmacs=cost.gmacs,
        gflops=cost.gflops,
        latency_ms=measure(loaded.network, size, threads=1).median_ms,
        cost_size=size,
    )
