"""Which runs are looked at side by side: one teacher, one student, one data seed; free of torch."""

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
from segdistill.training.finished_run import find_run
from segdistill.trust import check_from_file

TEACHER = "teacher"
"""What the teacher is called among the networks."""


@dataclass(frozen=True)
class Compared:
    """Finished runs that differ by method alone.

    Attributes:
        pair: teacher and student that they belong to, empty where there is one pair.
        runs: folder by method, the plain student first where there is one.
        configs: by method, overrides applied.
        results: by method.
        repeats: by method the finished runs of all seeds, by seed; of a study alone, else the
            run itself.
    """

    pair: str
    runs: Mapping[str, Path]
    configs: Mapping[str, RunConfig]
    results: Mapping[str, Result]
    repeats: Mapping[str, Mapping[str, Path]]

    @property
    def config(self) -> RunConfig:
        """The config of the first; data and evaluation are those of all."""
        return next(iter(self.configs.values()))

    @property
    def teacher(self) -> RunConfig | None:
        """A config that has the teacher, None where no run had one."""
        return next((one for one in self.configs.values() if one.teacher is not None), None)

    @property
    def distilled(self) -> list[str]:
        """The methods beside the plain student."""
        return [name for name in self.runs if name != PLAIN]

    def described(self) -> dict[str, dict[str, Any]]:
        """Return folder, config hash and seeds of every run, as JSON can hold them."""
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
    """Find the runs to look at: of a study those of each pair's first seed.

    Args:
        source: a study folder, the folder of a cohort, a run folder, or several run folders.
            Of several the teacher is left out, and what differs in data, seed or student.
        overrides: ``a.b=value`` words on the configs of all runs.
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
    found = [_compare("", runs, {run: {"": run} for run in runs}, overrides, tell)]
    return _trusted(found, trust)


def _trusted(cohorts: list[Compared], trust: Collection[str]) -> list[Compared]:
    """Refuse code that a run folder names and the person did not."""
    for compared in cohorts:
        for method, config in compared.configs.items():
            for section in (config.student, config.teacher):
                for network in (networks_of(section) if section else {}).values():
                    check_from_file(network.network, trust, compared.runs[method])
            for term in config.distill:
                check_from_file(term.loss, trust, compared.runs[method], "loss")
            check_from_file(config.data.dataset, trust, compared.runs[method], "dataset")
    return cohorts


def _listed(source: Path | Sequence[Path]) -> list[Path]:
    return [source] if isinstance(source, Path) else list(source)


def _finished(folder: Path) -> list[Path]:
    """Return a run's folder, or those of the runs in a folder."""
    runs = [*find_results(folder, "."), *find_results(folder, "*")]
    return [run for run in runs if student_file(run).exists()]


def _finished_finals(study: Path) -> list[FinalRun]:
    """Return the finished final runs of a study, none where the folder is no study's."""
    finals = find_final_runs(study)
    return [one for one in finals if has_result(one.folder) and student_file(one.folder).exists()]


def _first_seed(finals: Sequence[FinalRun]) -> list[Path]:
    """Return the runs of a pair's first seed that has the plain student and another."""
    seeds: dict[int, list[FinalRun]] = {}
    for final in finals:
        seeds.setdefault(final.seed, []).append(final)
    ordered = [seeds[seed] for seed in sorted(seeds)]
    whole = [runs for runs in ordered if len(runs) > 1 and PLAIN in {run.method for run in runs}]
    return [run.folder for run in (whole or ordered)[0]]


def _repeats(final: FinalRun, finals: Sequence[FinalRun]) -> dict[str, Path]:
    """Return the finished runs of a method, by seed."""
    same = [one for one in finals if (one.pair, one.method) == (final.pair, final.method)]
    return {str(one.seed): one.folder for one in sorted(same, key=lambda one: one.seed)}


def _compare(
    pair: str,
    folders: Sequence[Path],
    repeats: Mapping[Path, Mapping[str, Path]],
    overrides: Sequence[str],
    tell: Tell,
) -> Compared:
    configs = {folder: find_run(folder).config(overrides) for folder in folders}
    taught = [one.teacher for one in configs.values() if one.teacher is not None]
    weights = [each.weights for teacher in taught for each in networks_of(teacher).values()]
    teachers = {run_of(Path(file).resolve()) for file in weights if file is not None}
    students = [folder for folder in folders if folder.resolve() not in teachers]
    students = sorted(students or folders, key=lambda folder: bool(configs[folder].distill))
    first = configs[students[0]]
    kept: dict[str, Path] = {}
    for folder in students:
        name = PLAIN if not configs[folder].distill else read_result(folder).name
        if name in kept:
            tell(Note(f"{folder}: left out, since {kept[name]} is called {name} too"))
            continue
        if not _same(configs[folder], first):
            tell(Note(f"{folder}: left out, since its data, seed, student or teacher are others"))
            continue
        kept[name] = folder
    return Compared(
        pair,
        kept,
        {name: configs[folder] for name, folder in kept.items()},
        {name: read_result(folder) for name, folder in kept.items()},
        {name: repeats[folder] for name, folder in kept.items()},
    )


def _same(config: RunConfig, first: RunConfig) -> bool:
    teachers = config.teacher, first.teacher
    return (
        config.data == first.data
        and config.evaluation == first.evaluation
        and config.training.seed == first.training.seed
        and config.student == first.student
        and (None in teachers or teachers[0] == teachers[1])
    )
