"""The runs to compare: one teacher, one student, one data seed; free of torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.config import PLAIN, RunConfig
from segdistill.config.ensembles import networks_of
from segdistill.errors import RunFolderError
from segdistill.runs.result import Result, find_results, has_result, read_result
from segdistill.runs.student import run_of, student_file
from segdistill.runs.study import FinalRun, find_final_runs
from segdistill.training.events import Note, Tell, silent
from segdistill.training.finished_run import check_code, find_run

TEACHER = "teacher"
"""The teacher's name among the networks."""


@dataclass(frozen=True)
class Compared:
    """Finished runs that differ only in their method.

    Attributes:
        pair: name of their pair, empty if there is only one.
        runs: run folders by method, the plain student first if there is one.
        configs: configs by method, with overrides applied.
        results: results by method.
        repeats: finished runs of all seeds, by method and seed; outside of a study only the run
            itself.
    """

    pair: str
    runs: Mapping[str, Path]
    configs: Mapping[str, RunConfig]
    results: Mapping[str, Result]
    repeats: Mapping[str, Mapping[str, Path]]

    @property
    def config(self) -> RunConfig:
        """The config of the first run; data and evaluation are common to all."""
        return next(iter(self.configs.values()))

    @property
    def teacher(self) -> RunConfig | None:
        """A config with the teacher, None if no run has one."""
        return next((c for c in self.configs.values() if c.teacher is not None), None)

    @property
    def distilled(self) -> list[str]:
        """The methods other than the plain student."""
        return [name for name in self.runs if name != PLAIN]

    def described(self) -> dict[str, dict[str, Any]]:
        """Return folder, config hash and seeds of every run as JSON values."""
        return {
            name: {
                "folder": str(folder),
                "config_hash": self.results[name].config_hash,
                "seed": self.results[name].seed,
                "data_seed": self.results[name].data_seed,
            }
            for name, folder in self.runs.items()
        }


def find_compared(
    source: Path | Sequence[Path],
    *,
    overrides: Sequence[str] = (),
    trust: Collection[str] = (),
    tell: Tell = silent,
) -> list[Compared]:
    """Find the runs to analyse: for a study, those of each pair's first seed.

    Args:
        source: a study folder, the folder of a cohort, a run folder, or several run folders.
            The teacher's run and runs with other data, seed or student are left out.
        overrides: overrides ``a.b=value`` of the configs of all runs.
        trust: ``import:`` and ``file:`` targets that run folders may name; see
            :mod:`segdistill.trust`.
        tell: called with what is left out.

    Raises:
        RunFolderError: there is no finished run.
        ConfigError: an override cannot be applied, or a run names code that is not trusted.
    """
    finals = _finished_finals(source) if isinstance(source, Path) else []
    if finals:
        pairs = sorted({final.pair for final in finals})
        several = len(pairs) > 1
        found = [
            _compare(
                pair if several else "",
                _first_seed([final for final in finals if final.pair == pair]),
                {final.folder: _repeats(final, finals) for final in finals},
                {final.folder: final.method for final in finals},
                overrides,
                tell,
            )
            for pair in pairs
        ]
        return _trusted(found, trust)
    runs = [run for folder in _listed(source) for run in _finished(folder)]
    if not runs:
        raise RunFolderError(
            f"{', '.join(map(str, _listed(source)))}: expected a finished run, got none; let it "
            "finish first"
        )
    found = [_compare("", runs, {run: {"": run} for run in runs}, {}, overrides, tell)]
    return _trusted(found, trust)


def _trusted(cohorts: list[Compared], trust: Collection[str]) -> list[Compared]:
    """Refuse code that a run folder names but the user has not trusted."""
    for compared in cohorts:
        for method, config in compared.configs.items():
            check_code(config, trust, compared.runs[method])
    return cohorts


def _listed(source: Path | Sequence[Path]) -> list[Path]:
    return [source] if isinstance(source, Path) else list(source)


def _finished(folder: Path) -> list[Path]:
    """Return a run's folder, or those of the runs in a folder."""
    runs = [*find_results(folder, "."), *find_results(folder, "*")]
    return [run for run in runs if student_file(run).exists()]


def _finished_finals(study: Path) -> list[FinalRun]:
    """Return the finished final runs of a study; empty if the folder is not a study."""
    finals = find_final_runs(study)
    return [run for run in finals if has_result(run.folder) and student_file(run.folder).exists()]


def _first_seed(finals: Sequence[FinalRun]) -> list[Path]:
    """Return the runs of the first seed of a pair with a plain student and another run."""
    seeds: dict[int, list[FinalRun]] = {}
    for final in finals:
        seeds.setdefault(final.seed, []).append(final)
    ordered = [seeds[seed] for seed in sorted(seeds)]
    whole = [runs for runs in ordered if len(runs) > 1 and PLAIN in {run.method for run in runs}]
    return [run.folder for run in (whole or ordered)[0]]


def _repeats(final: FinalRun, finals: Sequence[FinalRun]) -> dict[str, Path]:
    """Return the finished runs of a method, by seed."""
    same = [run for run in finals if (run.pair, run.method) == (final.pair, final.method)]
    return {str(run.seed): run.folder for run in sorted(same, key=lambda run: run.seed)}


def _compare(
    pair: str,
    folders: Sequence[Path],
    repeats: Mapping[Path, Mapping[str, Path]],
    methods: Mapping[Path, str],
    overrides: Sequence[str],
    tell: Tell,
) -> Compared:
    configs = {folder: find_run(folder).config(overrides) for folder in folders}
    taught = [config.teacher for config in configs.values() if config.teacher is not None]
    weights = [network.weights for teacher in taught for network in networks_of(teacher).values()]
    teachers = {run_of(Path(file).resolve()) for file in weights if file is not None}
    students = [folder for folder in folders if folder.resolve() not in teachers]
    names = _names(students or folders, configs, methods)
    students = sorted(names, key=lambda folder: names[folder] != PLAIN)
    first = configs[students[0]]
    kept: dict[str, Path] = {}
    for folder in students:
        name = names[folder]
        if name in kept:
            tell(Note(f"{folder}: left out, because {kept[name]} is called {name} too"))
            continue
        if not _same(configs[folder], first):
            tell(Note(f"{folder}: left out, because its data, seed, student or teacher differ"))
            continue
        kept[name] = folder
    return Compared(
        pair,
        kept,
        {name: configs[folder] for name, folder in kept.items()},
        {name: read_result(folder) for name, folder in kept.items()},
        {name: repeats[folder] for name, folder in kept.items()},
    )


def _names(
    folders: Sequence[Path], configs: Mapping[Path, RunConfig], methods: Mapping[Path, str]
) -> dict[Path, str]:
    """Return each run's method; in a study its own, since a control may have no terms either.

    Of other runs, the one called plain is, or else the first without terms.
    """
    names = {folder: methods.get(folder) or read_result(folder).name for folder in folders}
    if not methods and PLAIN not in names.values():
        without = [folder for folder in folders if not configs[folder].distill]
        names |= dict.fromkeys(without[:1], PLAIN)
    return names


def _same(config: RunConfig, first: RunConfig) -> bool:
    teachers = config.teacher, first.teacher
    return (
        config.data == first.data
        and config.evaluation == first.evaluation
        and config.training.seed == first.training.seed
        and config.student == first.student
        and (None in teachers or teachers[0] == teachers[1])
    )
