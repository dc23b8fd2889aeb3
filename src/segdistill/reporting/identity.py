"""Which runs trained alike, and how the others differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from segdistill.catalogue.loggers import LOGGERS
from segdistill.reporting.runs import Run

_NO_PART_OF_TRAINING: Mapping[str, frozenset[str]] = {
    "data": frozenset({"root", "seed", "workers"}),
    "training": frozenset(
        {
            "seed",
            "device",
            "devices",
            "deterministic",
            "checkpoint_every",
            "evaluate_every",
            "log_every",
            *LOGGERS,
        }
    ),
}
"""The seeds and settings that do not distinguish groups."""

_SECTIONS = ("data", "student", "training")
"""The settings that a method shares with its plain student."""


def conditions(run: Run) -> dict[str, Any]:
    """Return the settings, by path, that a run shares with its plain student: all but the method.

    For a run without a config this is only its number of steps.
    """
    if not run.settings:
        return {"training.steps": run.result.steps}
    settings = {}
    for section in _SECTIONS:
        left_out = _NO_PART_OF_TRAINING.get(section, frozenset())
        for key, value in (run.settings.get(section) or {}).items():
            if key not in left_out:
                settings[f"{section}.{key}"] = value
    if run.extended:
        settings["training.extended"] = list(run.extended)
    return settings | _contents(run, "data") | _contents(run, "student")


def method(run: Run) -> dict[str, Any]:
    """Return the settings, by path, that define a run's method: its terms and its teacher.

    A plain student has no teacher even if its config names one.
    """
    terms = run.settings.get("distill")
    if not terms:
        return {"distill": run.method, "name": "" if run.settings else run.result.name}
    teacher = run.settings.get("teacher") or {}
    named = {f"teacher.{key}": value for key, value in teacher.items()}
    return {"distill": terms} | named | _contents(run, "teacher")


def _contents(run: Run, section: str) -> dict[str, str]:
    """Return the recorded contents of a section's files, which identify them regardless of path."""
    return {
        path.replace(".network", ".source"): f"sha256 {digest[:12]}"
        for path, digest in run.contents.items()
        if path.startswith(f"{section}.")
    }


def measured(run: Run) -> dict[str, Any]:
    """Return what was scored and how; only equal runs share a table.

    The labels are known by the number of pixels of each true class.
    """
    dataset = (run.settings.get("data") or {}).get("dataset")
    evaluation = run.settings.get("evaluation") or {}
    how = {key: evaluation[key] for key in ("scales", "flip", "window") if key in evaluation}
    result = run.result
    what = {"split": result.split, "images": result.images, "pixels": result.pixels}
    labels = None
    if run.confusion is not None:
        truth = json.dumps([sum(row) for row in run.confusion.counts])
        labels = f"sha256 {hashlib.sha256(truth.encode()).hexdigest()[:12]}"
    return {"dataset": dataset, **what, "classes": list(result.iou), "labels": labels, **how}


def key_of(settings: Mapping[str, Any]) -> str:
    """Return settings as a hashable key."""
    return json.dumps(settings, sort_keys=True, default=str)


def differing(trees: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the paths at which settings differ, with the value of each; a missing one is None.

    Args:
        trees: settings by path, one mapping each.
    """
    paths = dict.fromkeys(path for tree in trees for path in tree)
    table = {path: [tree.get(path) for tree in trees] for path in paths}
    return {
        path: values
        for path, values in table.items()
        if len({key_of({"value": value}) for value in values}) > 1
    }


def in_words(path: str, value: Any) -> str:
    """Format a setting for labels: ``lr 0.02``."""
    name = path.rpartition(".")[2]
    if isinstance(value, list | Mapping):
        return f"{name} {json.dumps(value)}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
