"""The files of a finished study, read once for the checks of ``verify``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segdistill.config import RunConfig, StudyConfig, check_study
from segdistill.config.loading import check_tree
from segdistill.config.studies import searches_of
from segdistill.errors import ConfigError
from segdistill.runs.identity import Identity, read_identity
from segdistill.runs.result import Result, has_result, read_result
from segdistill.runs.search import Choice, trial_folder
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.study import (
    FinalRun,
    find_final_runs,
    own_teacher_folder,
    read_study_settings,
)
from segdistill.runs.trials import Trial, read_trials

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Evidence:
    """A study folder, read once."""

    folder: Path

    @cached_property
    def study(self) -> StudyConfig:
        """The study file."""
        return check_study(read_study_settings(self.folder))

    @cached_property
    def finals(self) -> list[FinalRun]:
        """Every existing final run."""
        return list(find_final_runs(self.folder))

    @cached_property
    def results(self) -> dict[Path, Result]:
        """The results of the finished final runs, by folder."""
        return {r.folder: read_result(r.folder) for r in self.finals if has_result(r.folder)}

    @cached_property
    def settings(self) -> dict[Path, RunConfig | str]:
        """The checked settings of all runs, or the reason why they cannot be read."""
        runs = [run.folder for run in self.finals] + self.searched
        runs += self.own_teachers.values()
        return {run: _config(run) for run in runs if has_settings(run)}

    @cached_property
    def trial_runs(self) -> list[tuple[Trial, Path]]:
        """The trials and the folders that their runs have to be in."""
        return [
            (t, self.folder / trial_folder(t.pair, t.trial, t.repeat) / t.method)
            for t in self.trials
        ]

    @cached_property
    def searched(self) -> list[Path]:
        """The folders of all existing trials."""
        return [folder for _, folder in self.trial_runs if folder.is_dir()]

    @cached_property
    def own_teachers(self) -> dict[str, Path]:
        """The runs that control ``self_distillation`` learns from, by pair."""
        folders = {pair: own_teacher_folder(self.folder, pair) for pair in self.study.pairs}
        return {pair: folder for pair, folder in folders.items() if has_result(folder)}

    @cached_property
    def scored(self) -> dict[Path, Result]:
        """The results of the finished final runs, trials and own teachers, by folder."""
        others = [*filter(has_result, self.searched), *self.own_teachers.values()]
        return self.results | {run: read_result(run) for run in others}

    @cached_property
    def identity(self) -> Identity | None:
        """The files and data of the study, if it has recorded them."""
        return read_identity(self.folder)

    @cached_property
    def trials(self) -> list[Trial]:
        """The lines of ``trials.jsonl``."""
        return read_trials(self.folder)

    @cached_property
    def searches(self) -> dict[int, int]:
        """The search whose values each final seed uses."""
        return searches_of(self.study.seeds, self.study.search.repeats)

    def name(self, run: Path) -> str:
        """Return a run's folder relative to the study's."""
        return run.relative_to(self.folder).as_posix()


def _config(run: Path) -> RunConfig | str:
    try:
        return check_tree(read_settings(run))
    except ConfigError as error:
        return str(error)


def choice_of(choice: Choice, repeat: int) -> Choice:
    """Return a search's choice, or the first one if it is missing, which ``choices`` reports."""
    return choice.of(repeat) if repeat < len(choice.searches) else choice


Check = Callable[[Evidence], Iterator[str]]
"""A check, which yields a sentence for every contradiction."""


def is_close(value: Any, expected: Any) -> bool:
    """Return whether a value, or every value of a mapping, is as expected up to rounding."""
    if isinstance(value, Mapping) and isinstance(expected, Mapping):
        same = value.keys() == expected.keys()
        return same and all(is_close(value[key], expected[key]) for key in expected)
    if isinstance(value, float) and isinstance(expected, float | int):
        return math.isclose(value, expected, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return bool(value == expected)


def changed_paths(expected: Any, given: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value that differs."""
    if isinstance(expected, Mapping) and isinstance(given, Mapping):
        for key in expected.keys() & given.keys():
            yield from changed_paths(expected[key], given[key], f"{path}.{key}".lstrip("."))
        missing = (expected.keys() - given.keys()) - {"format"}
        yield from sorted(f"{path}.{key}".lstrip(".") for key in missing)
    elif isinstance(expected, list | tuple) and isinstance(given, list | tuple):
        if len(expected) != len(given):
            yield path
            return
        for index, (before, now) in enumerate(zip(expected, given, strict=True)):
            yield from changed_paths(before, now, f"{path}.{index}")
    elif not is_close(given, expected):
        yield path


def brief(value: Any) -> str:
    """Return a value formatted for a sentence."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
