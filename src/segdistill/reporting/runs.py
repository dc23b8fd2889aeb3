"""Run folders as the report reads them: one record per run, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from segdistill.errors import RunFolderError
from segdistill.runs.confusion import Confusion, read_confusion
from segdistill.runs.environment import Environment, read_environment
from segdistill.runs.identity import read_identity
from segdistill.runs.metrics import Line, read_metrics
from segdistill.runs.pictures import Kind, find_pictures
from segdistill.runs.result import Result, read_result
from segdistill.runs.settings import has_settings, read_settings, read_settings_text
from segdistill.runs.student import run_of


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        folder: the run folder.
        label: its label in tables, unique within a report.
        teacher: whether it is the teacher of another run of the report.
        result: its scores and costs.
        metrics: its log.
        confusion: its confusion matrix, None if it was not kept.
        config: text of its config, empty if there is none.
        settings: its config, parsed.
        environment: the machine and the libraries.
        pictures: files of the kept predictions, by image and kind.
        contents: SHA-256 of the files that its config names, by key; empty if some run of the
            report has not recorded its own.
        extended: numbers of steps at which it ended before it was extended.
    """

    folder: Path
    label: str
    teacher: bool
    result: Result
    metrics: Sequence[Line]
    confusion: Confusion | None
    config: str
    settings: Mapping[str, Any]
    environment: Environment
    pictures: Mapping[str, Mapping[Kind, Path]]
    contents: Mapping[str, str] = field(default_factory=dict)
    extended: tuple[int, ...] = ()

    @property
    def method(self) -> str:
        """Its method: ``plain`` or the names of its losses."""
        return "teacher" if self.teacher else self.result.method

    @property
    def network(self) -> str:
        """The trained network in a few words, empty if no config was kept."""
        student = self.settings.get("student") or {}
        words = [str(student[key]) for key in ("network", "backbone") if student.get(key)]
        if student.get("output_stride"):
            words.append(f"stride {student['output_stride']}")
        return " · ".join(words)

    @property
    def seeds(self) -> tuple[int, int]:
        """The key that pairs it with runs of other methods: data seed and own seed."""
        return self.result.data_seed, self.result.seed

    @cached_property
    def numbers(self) -> Mapping[str, Any]:
        """The result as a flat mapping, including the student's cost."""
        return self.result.as_dict()


def find_broken(folders: Sequence[Path]) -> dict[Path, str]:
    """Return the reason for each run folder that cannot be read.

    Raises:
        RunFolderError: none of them can be read.
    """
    broken = {}
    for folder in folders:
        try:
            read_runs([folder])
        except RunFolderError as error:
            broken[folder] = str(error)
    if folders and len(broken) == len(folders):
        raise RunFolderError(next(iter(broken.values())))
    return broken


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders, teachers first, otherwise in the given order.

    Args:
        folders: folders of finished runs.

    Raises:
        RunFolderError: there are none, one contains no finished run, or a file is broken.
    """
    if not folders:
        raise RunFolderError("report: expected at least one run folder, got none")
    results = [read_result(folder) for folder in folders]
    settings = [read_settings(folder) if has_settings(folder) else {} for folder in folders]
    teachers = [tree.get("teacher") for tree in settings]
    weights = [Path(tree["weights"]) for tree in teachers if tree and tree.get("weights")]
    identities = [read_identity(folder) for folder in folders]
    known = all(identities)
    # Older releases recorded no masks.
    masks = all("data.masks" in own.contents for own in identities if own is not None)
    learnt_from = {run_of(file).resolve() for file in weights}
    runs = [
        Run(
            folder=folder,
            label=_label(number, results, folders),
            teacher=results[number].name == "teacher" or folder.resolve() in learnt_from,
            result=results[number],
            metrics=read_metrics(folder),
            confusion=read_confusion(folder),
            config=read_settings_text(folder),
            settings=settings[number],
            environment=read_environment(folder),
            pictures=find_pictures(folder),
            contents={
                key: digest
                for key, digest in (identity.contents if identity and known else {}).items()
                if masks or key != "data.masks"
            },
            extended=identity.extended if identity is not None else (),
        )
        for number, (folder, identity) in enumerate(zip(folders, identities, strict=True))
    ]
    return sorted(runs, key=lambda run: not run.teacher)


def _label(number: int, results: Sequence[Result], folders: Sequence[Path]) -> str:
    """Return a run's name, with its seed or folder if the name alone is not unique."""
    result = results[number]
    if [other.name for other in results].count(result.name) <= 1:
        return result.name
    seeded = [f"{other.name}, seed {other.seed}" for other in results]
    if seeded.count(seeded[number]) == 1:
        return seeded[number]
    return f"{result.name}, {folders[number].parent.name}/{folders[number].name}"
