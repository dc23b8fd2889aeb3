"""Train and distil: a config becomes finished run folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from segdistill.api.places import choose_folder
from segdistill.api.saved import load_run
from segdistill.config import RunConfig
from segdistill.config.loading import load_configs
from segdistill.delivery.cost import count
from segdistill.delivery.latency import measure
from segdistill.errors import ConfigError, RunFolderError
from segdistill.files import claim, read_json, write_json, write_whole
from segdistill.reporting.page import write_report
from segdistill.reporting.plots import write_run_pictures
from segdistill.training.build import open_split
from segdistill.training.events import Note, Tell, silent
from segdistill.training.run import run_cohort
from segdistill.trust import own_words


def train(
    source: str | Path,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train the ``student`` of a config without a teacher: a teacher-to-be, or a baseline.

    Args:
        source: config file or name of a recipe; its ``teacher`` and ``distill`` are left out,
            and learners of a cohort that are the same without them are trained once.
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
    plain: dict[str, RunConfig] = {}
    for name, config in load_configs(source, overrides, trust=trust).items():
        alone = config.model_copy(update={"teacher": None, "distill": ()})
        if alone not in plain.values():
            plain[name] = alone
    if len(plain) == 1:
        plain = {"": next(iter(plain.values()))}
    given = _Given("train", str(source), tuple(overrides))
    return _run(plain, given, out, resume=resume, tell=tell)


def distill(
    source: str | Path,
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
    loaded = load_configs(source, overrides, trust=trust)
    if not any(config.distill for config in loaded.values()):
        raise ConfigError(
            f"{source}: expected at least one term under 'distill', got none; "
            "use segdistill train for a network without a teacher"
        )
    given = _Given("distill", str(source), tuple(overrides))
    return _run(loaded, given, out, resume=resume, tell=tell)


@dataclass(frozen=True)
class _Given:
    """What was asked for, before anything was resolved."""

    verb: str
    source: str
    overrides: tuple[str, ...]


def _run(
    loaded: Mapping[str, RunConfig],
    given: _Given,
    out: str | Path | None,
    *,
    resume: bool,
    tell: Tell,
) -> list[Path]:
    folder = choose_folder(given.source, out, resume=resume)
    if "" not in loaded and (folder / "resolved.yaml").exists():
        raise RunFolderError(
            f"{folder}: expected a new folder for {len(loaded)} learners, got one that holds a "
            "run; choose another with --out"
        )
    if "" not in loaded:
        check_cohort_folder(folder, loaded)
    claim("report", [folder / "report.html"])
    try:
        runs = run_cohort(loaded, folder, resume=resume, tell=tell)
    finally:
        for name, config in loaded.items():
            _record(folder / name, config, given)
    for run, config in zip(runs, loaded.values(), strict=True):
        complete(run, trust=own_words(config.tree(), config.trust), tell=tell)
    write_report(runs, folder / "report.html", title=folder.name)
    return runs


def _record(run: Path, config: RunConfig, given: _Given) -> None:
    """Write ``args.yaml`` into a folder that holds this run and has none yet."""
    file = run / "args.yaml"
    if file.exists() or not (run / "environment.json").exists():
        return
    if read_json(run / "environment.json").get("config_hash") != config.hash():
        return
    paths = {"source": Path(given.source) if Path(given.source).is_file() else None, "out": run}
    paths["data.root"] = config.data.settings().get("root")
    if config.data.unlabelled is not None:
        paths["data.unlabelled.root"] = config.data.unlabelled.settings().get("root")
    for section in ("teacher", "student"):
        network = getattr(config, section)
        for key in ("weights", "backbone_weights"):
            paths[f"{section}.{key}"] = None if network is None else getattr(network, key)
    args = {
        "verb": given.verb,
        "source": given.source,
        "overrides": list(given.overrides),
        "paths": {name: _whole_path(path) for name, path in paths.items() if path},
    }
    write_whole(file, yaml.safe_dump(args, sort_keys=False, allow_unicode=True))


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
    made = {*learners, "analyses", "report.html"}
    foreign = sorted(
        entry.name
        for entry in (folder.iterdir() if folder.exists() else ())
        if not entry.name.startswith(".")
        and entry.name not in made
        and not any(entry.glob("**/resolved.yaml"))
    )
    if foreign:
        raise RunFolderError(
            f"{folder}: expected a new folder or one of runs, got {', '.join(foreign[:3])} in it; "
            "choose another with --out"
        )


def complete(run: Path, *, trust: Collection[str] = (), tell: Tell = silent) -> None:
    """Add the student's cost to a finished run's result, and draw its pictures and report.

    Cost is counted and timed at the size at which the network met the first scored image.

    Args:
        run: the folder.
        trust: targets that the person who made the run named.
        tell: called when it is done.
    """
    result = read_json(run / "result.json")
    if "params_m" in result:
        return
    loaded = load_run(run, trust=trust)
    settings = loaded.config.evaluation
    image = open_split(loaded.config.data, settings.split)[0].image
    scale = settings.scales[0] if len(settings.scales) == 1 else 1.0
    size = round(scale * image.shape[0]), round(scale * image.shape[1])
    cost = count(loaded.network, size)
    latency = measure(loaded.network, size, threads=1)
    result |= {
        "params_m": cost.params_m,
        "gmacs": cost.gmacs,
        "gflops": cost.gflops,
        "latency_ms": latency.median_ms,
        "cost_size": list(size),
    }
    write_json(run / "result.json", result)
    write_run_pictures(run)
    write_report([run], run / "report.html", title=run.name)
    tell(Note(f"{run}: result, pictures and report written"))
