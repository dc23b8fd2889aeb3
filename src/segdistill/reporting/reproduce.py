"""Commands, configs with their hashes, and the environment: what repeats a result."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segdistill.reporting.groups import Group
from segdistill.reporting.runs import Run

_OF_ONE_RUN = ("command", "started")


@dataclass(frozen=True)
class ConfigLine:
    """A run's config hash, and the lines in which its config differs from the group's first."""

    label: str
    hash: str
    seed: str
    steps: int | None
    changed: Sequence[str]


@dataclass(frozen=True)
class Configs:
    """The configs of a group: the first in full, the others by what differs."""

    label: str
    text: str
    runs: Sequence[ConfigLine]


def configs(group: Group) -> Configs:
    """Return the configs of a group's runs."""
    first = group.runs[0]
    lines = [
        ConfigLine(
            run.label,
            str(run.result.get("config_hash") or "")[:12],
            str(run.result.get("seed", "")),
            run.result.get("steps"),
            changed(first.config, run.config),
        )
        for run in group.runs
    ]
    return Configs(group.label, first.config, lines)


def changed(before: str, after: str) -> list[str]:
    """Return the lines of a text that another one has not."""
    found = difflib.ndiff(before.splitlines(), after.splitlines())
    return [" ".join(line[2:].split()) for line in found if line.startswith("+ ")]


def commands(runs: Sequence[Run]) -> list[str]:
    """Return the command lines that made the runs, each once, and those that score them."""
    lines = recorded(runs)
    lines += [f"segdistill evaluate {shlex.quote(str(run.folder))}" for run in runs]
    return list(dict.fromkeys(lines))


def recorded(runs: Sequence[Run]) -> list[str]:
    """Return the command lines that made the runs, each once."""
    found = [run.environment.get("command") for run in runs]
    return list(dict.fromkeys(shlex.join(map(str, command)) for command in found if command))


def environments(runs: Sequence[Run]) -> list[tuple[str, Mapping[str, str]]]:
    """Return each environment that runs were made in, once, with the labels of its runs."""
    found: dict[str, tuple[list[str], dict[str, str]]] = {}
    for run in runs:
        flat = _flat({k: v for k, v in run.environment.items() if k not in _OF_ONE_RUN})
        if flat:
            found.setdefault(json.dumps(flat), ([], flat))[0].append(run.label)
    if len(found) == 1:
        return [("all runs", next(iter(found.values()))[1])]
    return [(", ".join(labels), flat) for labels, flat in found.values()]


def _flat(tree: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flat(value)
        elif value is not None:
            listed = isinstance(value, Sequence) and not isinstance(value, str)
            found[str(key).replace("_", " ")] = " ".join(map(str, value)) if listed else str(value)
    return found
