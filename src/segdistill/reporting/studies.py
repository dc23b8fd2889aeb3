"""Study folders as the report reads them: what was planned, tried, finished and failed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segdistill.config import PLAIN, load_yaml
from segdistill.errors import RunFolderError
from segdistill.files import read_json
from segdistill.reporting.groups import Group, against
from segdistill.reporting.runs import Run, read_runs

STUDY_FILE = "study.yaml"


@dataclass(frozen=True)
class Failure:
    """A final run that ended with an error.

    Attributes:
        pair: teacher and student.
        method: its name in the study file.
        seed: of data and run.
        error: what was said.
        step: where, None where that is not known.
    """

    pair: str
    method: str
    seed: int
    error: str
    step: int | None


@dataclass(frozen=True)
class Study:
    """What a study folder holds.

    Attributes:
        folder: where it was read from.
        text: ``study.yaml``.
        settings: the same, parsed.
        pairs: names, in the order of the plan.
        teachers: run of each pair's teacher, where its folder is there.
        students: finished final runs by pair and method.
        failures: final runs that failed.
        unfinished: final runs that the plan has and the folder not yet.
        trials: the lines of ``trials.jsonl``.
        chosen: ``chosen.json``: the best trial of each method by pair.
        plan: ``plan.json``.
        results: ``results.json``, empty until the study has ended.
    """

    folder: Path
    text: str
    settings: Mapping[str, Any]
    pairs: tuple[str, ...]
    teachers: Mapping[str, Run]
    students: Mapping[str, Mapping[str, Sequence[Run]]]
    failures: tuple[Failure, ...]
    unfinished: int
    trials: tuple[Mapping[str, Any], ...]
    chosen: Mapping[str, Mapping[str, Any]]
    plan: Mapping[str, Any]
    results: Mapping[str, Any]

    @property
    def runs(self) -> list[Run]:
        """Every finished run, teachers first."""
        teachers = {run.folder: run for run in self.teachers.values()}
        found = [run for methods in self.students.values() for m in methods.values() for run in m]
        return [*teachers.values(), *found]


def is_study(folder: Path) -> bool:
    """Return whether a folder is that of a study."""
    return (folder / STUDY_FILE).is_file()


def read_study(folder: Path) -> Study:
    """Read a study folder, finished or not.

    Args:
        folder: made by ``segdistill study``.

    Raises:
        RunFolderError: no final run of it has finished, so that there is nothing to compare.
    """
    text = (folder / STUDY_FILE).read_text(encoding="utf-8")
    plan = _json(folder / "plan.json")
    order = _order(plan)
    places = sorted(
        (path for path in (folder / "final").glob("*/seed-*/*") if path.is_dir()),
        key=lambda path: (
            order.get(_pair_method(path), len(order)),
            path.name != PLAIN,
            path.name,
            _seed(path),
        ),
    )
    finished = [path for path in places if (path / "result.json").exists()]
    failures = tuple(_failure(path) for path in places if (path / "failed.json").exists())
    if not finished:
        said = f", {len(failures)} failed, the first: {failures[0].error}" if failures else ""
        raise RunFolderError(
            f"{folder}: expected a finished final run of the study, got none{said}; "
            "let the study run, or go on with --resume"
        )
    pairs = tuple(dict.fromkeys(_pair_method(path)[0] for path in finished))
    students, teachers = {}, {}
    for pair in pairs:
        own = [path for path in finished if _pair_method(path)[0] == pair]
        students[pair], teacher = _read_pair(own, f" ({pair})" if len(pairs) > 1 else "")
        if teacher is not None:
            teachers[pair] = teacher
    planned = sum(len(job["learners"]) for job in plan.get("jobs", ()) if job["stage"] == "final")
    return Study(
        folder=folder,
        text=text,
        settings=load_yaml(text) or {},
        pairs=pairs,
        teachers=teachers,
        students=students,
        failures=failures,
        unfinished=max(0, planned - len(finished) - len(failures)),
        trials=tuple(_lines(folder / "trials.jsonl")),
        chosen=_json(folder / "chosen.json"),
        plan=plan,
        results=_json(folder / "results.json"),
    )


def study_groups(study: Study) -> list[Group]:
    """Return a group for each method of each pair, compared with that pair's plain student.

    Teachers come first; one that all pairs have is one group.
    """
    several = len(study.pairs) > 1
    groups = []
    places = {run.folder.resolve() for run in study.teachers.values()}
    if len(places) == 1 and len(study.teachers) == len(study.pairs):
        run = replace(study.teachers[study.pairs[0]], label="teacher")
        groups.append(Group("teacher", "teacher", (run,)))
    else:
        for pair, run in study.teachers.items():
            groups.append(Group(run.label, "teacher", (run,), pair if several else ""))
    for pair, methods in study.students.items():
        rivals = [
            Group(f"{name} ({pair})" if several else name, name, tuple(runs), pair * several)
            for name, runs in methods.items()
        ]
        base = next((one for one in rivals if one.name == PLAIN), None)
        groups += rivals if base is None else against(rivals, base)
    return groups


def _read_pair(folders: Sequence[Path], suffix: str) -> tuple[dict[str, list[Run]], Run | None]:
    """Return the runs of a pair by method, and that of its teacher where it is on this machine."""
    teacher, methods = None, dict[str, list[Run]]()
    for run in read_runs(folders):
        name = run.folder.name
        label = f"{name}, seed {_seed(run.folder)}{suffix}"
        methods.setdefault(name, []).append(replace(run, label=label, teacher=False))
        weights = (run.settings.get("teacher") or {}).get("weights")
        if teacher is None and weights and (Path(weights).parent / "result.json").exists():
            found = read_runs([Path(weights).parent])[0]
            if found.result.get("split") == run.result.get("split"):
                teacher = replace(found, label=f"teacher{suffix}", teacher=True)
    return methods, teacher


def _order(plan: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return the place of each pair and method in the plan, the plain student first."""
    jobs = [job for job in plan.get("jobs", ()) if job["stage"] == "final"]
    known = list(dict.fromkeys((job["pair"], name) for job in jobs for name in job["learners"]))
    pairs = list(dict.fromkeys(pair for pair, _ in known))
    known.sort(key=lambda one: (pairs.index(one[0]), one[1] != PLAIN))
    return {one: place for place, one in enumerate(known)}


def _pair_method(path: Path) -> tuple[str, str]:
    return path.parents[1].name, path.name


def _seed(path: Path) -> int:
    return int(path.parent.name.removeprefix("seed-"))


def _failure(path: Path) -> Failure:
    pair, method = _pair_method(path)
    failed = read_json(path / "failed.json")
    return Failure(pair, method, _seed(path), str(failed.get("error")), failed.get("step"))


def _json(file: Path) -> dict[str, Any]:
    return dict(read_json(file)) if file.exists() else {}


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
