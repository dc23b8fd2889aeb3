"""How to reproduce: commands, configs with their hashes, and the environment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.reporting.references import bibtex, used
from segdistill.reporting.runs import Run
from segdistill.runs.layout import STUDY

_OF_ONE_RUN = ("command", "started", "config_hash")


@dataclass(frozen=True)
class ConfigLine:
    """A run's config hash, and the settings that differ from those of the group's first run."""

    label: str
    hash: str
    seed: str
    steps: int
    changed: Sequence[str]


@dataclass(frozen=True)
class Configs:
    """The configs of a group: the first in full, the differences of the others."""

    label: str
    text: str
    runs: Sequence[ConfigLine]


def show(material: Material) -> Mapping[str, Any]:
    """Return commands, configs, environments and references."""
    study, runs = material.study, [run for group in material.trained for run in group.runs]
    searched = ["search"] if study is not None and study.trials else []
    if material.search is not None:
        lines = recorded(runs)
    elif study is None:
        lines = commands(runs)
    else:
        shown = shlex.quote(str(study.folder))
        lines = [
            *recorded(runs),
            f"segdistill study {shown}/{STUDY} --out {shown}-again",
            f"segdistill report {shown}",
        ]
    return {
        "commands": lines,
        "configs": [configs(group) for group in material.trained],
        "environments": environments(runs),
        "runs": runs,
        "bibtex": bibtex([*used(runs), "study", *searched]),
    }


def configs(group: Group) -> Configs:
    """Return the configs of a group's runs."""
    first = group.runs[0]
    lines = [
        ConfigLine(
            run.label,
            run.result.config_hash[:12],
            str(run.result.seed),
            run.result.steps,
            changed(first.settings, run.settings),
        )
        for run in group.runs
    ]
    return Configs(group.label, first.config, lines)


def changed(before: Any, after: Any, path: str = "") -> list[str]:
    """Return the settings, by path, that differ from those before or are no longer there."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [f"{path}: {json.dumps(after, default=str)}"]
    lines = []
    for key in dict.fromkeys((*after, *before)):
        inner = f"{path}.{key}" if path else str(key)
        lines += changed(before.get(key), after.get(key), inner)
    return lines


def commands(runs: Sequence[Run]) -> list[str]:
    """Return the distinct commands that made the runs, and those that score them."""
    lines = recorded(runs)
    lines += [f"segdistill evaluate {shlex.quote(str(run.folder))}" for run in runs]
    return list(dict.fromkeys(lines))


def recorded(runs: Sequence[Run]) -> list[str]:
    """Return the distinct commands that made the runs."""
    words = [run.environment.command for run in runs if run.environment.command]
    return list(dict.fromkeys(shlex.join(command) for command in words))


def environments(runs: Sequence[Run]) -> list[tuple[str, Mapping[str, str]]]:
    """Return each distinct environment with the labels of its runs."""
    by_values: dict[str, tuple[list[str], dict[str, str]]] = {}
    for run in runs:
        flat = _flat({k: v for k, v in run.environment.as_dict().items() if k not in _OF_ONE_RUN})
        if flat:
            by_values.setdefault(json.dumps(flat), ([], flat))[0].append(run.label)
    if len(by_values) == 1:
        return [("all runs", next(iter(by_values.values()))[1])]
    return [(", ".join(labels), flat) for labels, flat in by_values.values()]


def _flat(tree: Mapping[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value)
        elif value is not None:
            listed = isinstance(value, Sequence) and not isinstance(value, str)
            flat[str(key).replace("_", " ")] = " ".join(map(str, value)) if listed else str(value)
    return flat
