"""Which runs are looked at side by side: one teacher, one student, one data seed; free of torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.api.places import find_run
from segdistill.config import RunConfig
from segdistill.errors import RunFolderError
from segdistill.files import read_json
from segdistill.training.events import Note, Tell, silent
from segdistill.trust import check_from_file

PLAIN = "plain"
"""The name of the student without a teacher."""

SEED = "seed-"
"""What the folders of a study's seeds begin with."""


@dataclass(frozen=True)
class Compared:
    """Finished runs that differ by method alone.

    Attributes:
        pair: teacher and student that they belong to, empty where there is one pair.
        runs: folder by method, the plain student first where there is one.
        configs: by method, overrides applied.
        results: ``result.json`` by method.
        repeats: by method the finished runs of all seeds, by the seed's folder; of a study
            alone, else the run itself.
    """

    pair: str
    runs: Mapping[str, Path]
    configs: Mapping[str, RunConfig]
    results: Mapping[str, Mapping[str, Any]]
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
        keys = ("config_hash", "seed", "data_seed")
        return {
            name: {"folder": str(folder)} | {key: self.results[name].get(key) for key in keys}
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
    if isinstance(source, Path) and (source / "final").is_dir():
        pairs = sorted(path for path in (source / "final").iterdir() if path.is_dir())
        pairs_found = [(pair.name, _first_seed(pair)) for pair in pairs]
        cohorts = [(name, runs) for name, runs in pairs_found if runs]
        if len(cohorts) == 1:
            cohorts = [("", cohorts[0][1])]
    else:
        runs = [run for one in _listed(source) for run in _finished(one)]
        cohorts = [("", runs)] if runs else []
    if not cohorts:
        raise RunFolderError(
            f"{', '.join(map(str, _listed(source)))}: expected a finished run, got none; let it "
            "finish first"
        )
    found = [_compare(pair, runs, overrides, tell) for pair, runs in cohorts]
    for compared in found:
        for method, config in compared.configs.items():
            for section in (config.student, config.teacher):
                if section is not None:
                    check_from_file(section.network, trust, compared.runs[method])
    return found


def _listed(source: Path | Sequence[Path]) -> list[Path]:
    return [source] if isinstance(source, Path) else list(source)


def _finished(folder: Path) -> list[Path]:
    """Return a run's folder, or those of the runs in a folder."""
    files = [folder / "result.json", *sorted(folder.glob("*/result.json"))]
    found = [file.parent for file in files if file.exists()]
    return [run for run in found if (run / "model.safetensors").exists()]


def _first_seed(pair: Path) -> list[Path]:
    """Return the finished runs of the first seed that has the plain student and another."""
    every = [_finished(seed) for seed in _seeds(pair)]
    whole = [runs for runs in every if len(runs) > 1 and PLAIN in {run.name for run in runs}]
    return next(iter(whole), next((runs for runs in every if runs), []))


def _compare(pair: str, folders: Sequence[Path], overrides: Sequence[str], tell: Tell) -> Compared:
    configs = {folder: find_run(folder).config(overrides) for folder in folders}
    weights = [one.teacher.weights for one in configs.values() if one.teacher is not None]
    teachers = {Path(file).resolve().parent for file in weights if file is not None}
    students = [folder for folder in folders if folder.resolve() not in teachers]
    students = sorted(students or folders, key=lambda folder: bool(configs[folder].distill))
    first = configs[students[0]]
    kept: dict[str, Path] = {}
    for folder in students:
        result = read_json(folder / "result.json")
        name = PLAIN if not configs[folder].distill else str(result.get("name", folder.name))
        if name in kept or not _same(configs[folder], first):
            tell(Note(f"{folder}: left out: a name twice, or other data, seed, student or teacher"))
            continue
        kept[name] = folder
    return Compared(
        pair,
        kept,
        {name: configs[folder] for name, folder in kept.items()},
        {name: read_json(folder / "result.json") for name, folder in kept.items()},
        {name: _repeats(folder) for name, folder in kept.items()},
    )


def _repeats(folder: Path) -> dict[str, Path]:
    """Return the finished runs of a method, by seed."""
    if not folder.parent.name.startswith(SEED):
        return {"": folder}
    runs = [seed / folder.name for seed in _seeds(folder.parent.parent)]
    return {run.parent.name: run for run in runs if (run / "result.json").exists()}


def _seeds(pair: Path) -> list[Path]:
    return sorted(pair.glob(f"{SEED}*"), key=lambda path: (len(path.name), path.name))


def _same(config: RunConfig, first: RunConfig) -> bool:
    teachers = config.teacher, first.teacher
    return (
        config.data == first.data
        and config.evaluation == first.evaluation
        and config.training.seed == first.training.seed
        and config.student == first.student
        and (None in teachers or teachers[0] == teachers[1])
    )
