"""Run folders as the report reads them: files in, one record out, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.config import load_yaml
from segdistill.errors import RunFolderError
from segdistill.files import read_json, read_metrics


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        folder: where it was read from.
        label: what tables call it, unique within a report.
        teacher: whether another run of the report learnt from it.
        result: ``result.json``.
        metrics: the lines of ``metrics.jsonl``.
        confusion: ``confusion.json``, or None.
        config: the text of ``resolved.yaml``, empty where there is none.
        settings: the same, parsed.
        environment: ``environment.json``, empty where there is none.
        pictures: files of ``predictions/`` by picture and kind: input, truth, prediction.
    """

    folder: Path
    label: str
    teacher: bool
    result: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    confusion: Mapping[str, Any] | None
    config: str
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    pictures: Mapping[str, Mapping[str, Path]]

    @property
    def method(self) -> str:
        """How it was trained: ``plain`` or the names of its losses."""
        return "teacher" if self.teacher else str(self.result.get("method", "plain"))

    @property
    def network(self) -> str:
        """The trained network in a few words, empty where no config was kept."""
        student = self.settings.get("student") or {}
        words = [str(student[key]) for key in ("network", "backbone") if student.get(key)]
        if student.get("output_stride"):
            words.append(f"stride {student['output_stride']}")
        return " · ".join(words)

    @property
    def seeds(self) -> tuple[Any, Any]:
        """What pairs it with runs of other methods: data seed and own seed."""
        return self.result.get("data_seed"), self.result.get("seed")

    @property
    def kind(self) -> tuple[str, str]:
        """Network and method: runs of one kind differ by seed alone."""
        student = {k: v for k, v in (self.settings.get("student") or {}).items() if k != "weights"}
        terms = self.settings.get("distill") or self.method
        return json.dumps(student, sort_keys=True), json.dumps(terms, sort_keys=True)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders, teachers first, otherwise in the order given.

    Args:
        folders: of finished runs.

    Raises:
        RunFolderError: there is none, or one holds no finished run.
    """
    if not folders:
        raise RunFolderError("report: expected at least one run folder, got none")
    results = [_result(folder) for folder in folders]
    settings = [_settings(folder) for folder in folders]
    weights = [tree.get("teacher") for tree in settings]
    used = [Path(tree["weights"]) for tree in weights if tree and tree.get("weights")]
    runs = []
    for place, folder in enumerate(folders):
        text = folder / "resolved.yaml"
        environment = folder / "environment.json"
        confusion = folder / "confusion.json"
        runs.append(
            Run(
                folder=folder,
                label=_label(place, results, folders),
                teacher=_is_teacher(folder, results[place], used),
                result=results[place],
                metrics=read_metrics(folder),
                confusion=read_json(confusion) if confusion.exists() else None,
                config=text.read_text(encoding="utf-8") if text.exists() else "",
                settings=settings[place],
                environment=read_json(environment) if environment.exists() else {},
                pictures=_pictures(folder / "predictions"),
            )
        )
    return sorted(runs, key=lambda run: not run.teacher)


def _result(folder: Path) -> dict[str, Any]:
    file = folder / "result.json"
    if not file.exists():
        raise RunFolderError(
            f"{folder}: expected a finished run with result.json, got none; "
            "let the run finish, or go on with --resume"
        )
    result: dict[str, Any] = read_json(file)
    return result


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / "resolved.yaml"
    return (load_yaml(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def _label(place: int, results: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> str:
    """Return a run's name, with its seed or folder where the name alone is not unique."""

    def with_seed(result: Mapping[str, Any]) -> str:
        return f"{result.get('name')}, seed {result.get('seed')}"

    name = str(results[place].get("name", folders[place].name))
    if [str(result.get("name")) for result in results].count(name) <= 1:
        return name
    seeded = with_seed(results[place])
    if [with_seed(result) for result in results].count(seeded) == 1:
        return seeded
    return f"{name}, {folders[place].parent.name}/{folders[place].name}"


def _is_teacher(folder: Path, result: Mapping[str, Any], used: Sequence[Path]) -> bool:
    if "teacher" in (result.get("method"), result.get("name")):
        return True
    return any(weights.parent.resolve() == folder.resolve() for weights in used)


def _pictures(folder: Path) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.rglob("*_*.*")):  # images of Cityscapes are in folders of cities
        name, _, kind = file.relative_to(folder).with_suffix("").as_posix().rpartition("_")
        if kind in ("input", "truth", "prediction"):
            found.setdefault(name, {})[kind] = file
    return {name: kinds for name, kinds in found.items() if {"input", "prediction"} <= set(kinds)}
