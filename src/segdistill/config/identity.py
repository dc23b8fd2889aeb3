"""Identity: the settings that change the weights of a run, and how two configs differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from segdistill.catalogue.loggers import LOGGERS
from segdistill.catalogue.networks import ENSEMBLE
from segdistill.config.checking import check_named
from segdistill.config.ensembles import networks_of
from segdistill.config.mistakes import validate
from segdistill.config.sections import (
    DataConfig,
    EvaluationConfig,
    NamedSection,
    NetworkConfig,
    RunConfig,
    Section,
    TrainingConfig,
    Tree,
)
from segdistill.config.students import StudentSearchConfig
from segdistill.config.studies import StudyConfig

STEPS = "training.steps"
"""The one setting of an identity that may change: with more steps a run is extended."""

Settings = Mapping[str, Any]
"""Settings by path, such as ``training.lr``."""

_DATA = {"workers", "on_error"}
_TRAINING = {
    "device",
    "devices",
    "compile",
    "deterministic",
    "evaluate_every",
    "checkpoint_every",
    "log_every",
    *LOGGERS,
}
_FILES = {"weights", "backbone_weights"}
_NETWORK = _FILES | {
    "untrained",
    "shard",
    "cache",
    "cache_limit",
}  # permissions that change no weights
_IN_FILES = ("hf", "file")  # networks whose name is a path


def identity_of(config: RunConfig) -> dict[str, Any]:
    """Return the settings, by path, that change the weights of a run.

    Left out are paths of data and files (their contents count instead), the machine, how often
    something is saved, logged or scored, and evaluation. A plain student has no teacher even if
    its config names one.
    """
    sections: Tree = {
        "data": _data(config.data),
        "student": _network(config.student),
        "distill": [term.model_dump(mode="json") for term in config.distill],
        "training": _training(config.training),
    }
    if config.teacher is not None and config.distill:
        sections["teacher"] = _network(config.teacher)
    return _flat(sections)


def identity_of_maps(config: RunConfig) -> Tree:
    """Return the settings that change the teacher's maps of a batch."""
    return {
        "data": _data(config.data),
        "teacher": None if config.teacher is None else _network(config.teacher),
        "precision": config.training.precision,
        "accumulate": config.training.accumulate,
    }


def identity_of_study(study: StudyConfig) -> dict[str, Any]:
    """Return the settings, by path, that change the results of a study.

    Like :func:`identity_of`, except that evaluation counts, because scores are results.
    """
    tree = study.tree()
    evaluation = _tree(validate(EvaluationConfig, study.evaluation, "evaluation"))
    sections = {
        **{key: tree[key] for key in ("methods", "search", "seeds", "match")},
        "data": _data(check_named(DataConfig, study.data, "data")),
        "training": _training(validate(TrainingConfig, study.training, "training")),
        "evaluation": {key: value for key, value in evaluation.items() if key != "pictures"},
        "pairs": {
            name: {
                role: _without_places(network)
                | ({"cache": "a path"} if network.get("cache") else {})
                for role, network in pair.items()
                if isinstance(network, dict)
            }
            for name, pair in tree["pairs"].items()
        },
    }
    return _flat(sections)


def identity_of_search(search: StudentSearchConfig) -> dict[str, Any]:
    """Return the settings, by path, that change what a search of students tries and trains.

    Seeds and the number of trials do not, so that a search may be extended by them.
    """
    tree = search.tree()
    evaluation = _tree(validate(EvaluationConfig, search.evaluation, "evaluation"))
    sections = {
        **{key: tree[key] for key in ("students", "distill", "latency")},
        "search": {k: v for k, v in tree["search"].items() if k not in ("trials", "cohort")},
        "data": _data(check_named(DataConfig, search.data, "data")),
        "training": _training(validate(TrainingConfig, search.training, "training")),
        "evaluation": {key: value for key, value in evaluation.items() if key != "pictures"},
        "teacher": _without_places(search.teacher)
        | ({"cache": "a path"} if search.teacher.get("cache") else {}),
    }
    return _flat(sections)


def differing(before: Settings, now: Settings) -> dict[str, tuple[Any, Any]]:
    """Return the paths at which settings differ, with both values; a missing one is None."""
    paths = dict.fromkeys((*before, *now))
    values = {path: (before.get(path), now.get(path)) for path in paths}
    return {path: (old, new) for path, (old, new) in values.items() if old != new}


def other_settings(before: RunConfig, now: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Return the remaining differences between two configs of the same identity."""
    return differing(_flat(before.tree()), _flat(now.tree()))


def in_words(differences: Mapping[str, tuple[Any, Any]], most: int = 3) -> str:
    """Format differences for messages: ``training.lr 0.02 (now 0.01)``."""
    words = [f"{path} {_word(old)} (now {_word(new)})" for path, (old, new) in differences.items()]
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest


def _data(data: DataConfig) -> Tree:
    tree = {key: value for key, value in _tree(data).items() if key not in _DATA}
    tree |= _paths(data)
    if data.unlabelled is not None:
        tree["unlabelled"] = _tree(data.unlabelled) | _paths(data.unlabelled)
    return tree


def _network(section: NetworkConfig) -> Tree:
    tree = {key: value for key, value in _tree(section).items() if key not in _NETWORK}
    source, colon, _ = section.network.partition(":")
    if colon and source in _IN_FILES:
        tree["network"] = source + colon
    if section.cache is not None:
        tree["cache"] = "a path"  # which rounds the maps
    if section.network == ENSEMBLE:
        tree["members"] = [_network(member) for member in networks_of(section).values()]
    return tree


def _without_places(network: Tree) -> Tree:
    kept = {key: value for key, value in network.items() if key not in _NETWORK}
    if isinstance(kept.get("members"), list):
        kept["members"] = [_without_places(member) for member in kept["members"]]
    return kept


def _training(training: TrainingConfig) -> Tree:
    return {key: value for key, value in _tree(training).items() if key not in _TRAINING}


def _paths(section: NamedSection) -> Tree:
    """Return the path-valued keys of a section; only whether there is a path counts."""
    fields = type(section).model_fields
    return {
        key: None if getattr(section, key) is None else "a path"
        for key, field in fields.items()
        if Path in (field.annotation, *get_args(field.annotation))
    }


def _tree(section: Section) -> Tree:
    tree: Tree = section.model_dump(mode="json")
    return tree


def _flat(tree: Mapping[str, Any] | list[Any], above: str = "") -> dict[str, Any]:
    """Return a tree's values by path, in which lists of sections are indexed."""
    flat: dict[str, Any] = {}
    entries = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    for key, value in entries:
        path = f"{above}{key}"
        sections = isinstance(value, list) and any(isinstance(entry, dict) for entry in value)
        if (isinstance(value, dict) and value) or sections:
            flat |= _flat(value, f"{path}.")
        else:
            flat[path] = value
    return flat


def _word(value: Any) -> str:
    return "none" if value is None or value in ([], {}) else str(value)
