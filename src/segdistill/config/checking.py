"""From a tree to a checked config, or one line that says what is wrong with it.

What may be named comes in as :class:`Choices`, so this needs neither torch nor the packages
that own the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from segdistill.catalogue.tables import Setting
from segdistill.checks import nearest
from segdistill.config.sections import (
    DataConfig,
    LossConfig,
    NamedSection,
    NetworkConfig,
    RunConfig,
    Section,
    Tree,
    UnlabelledConfig,
)
from segdistill.errors import ConfigError


@dataclass(frozen=True)
class Choice:
    """What one name of a table means in a config.

    Attributes:
        settings: the row's own keys.
        defaults: its defaults for keys that every row of the section has.
        later: those of the settings that a run's hash leaves out at their default.
        of_labels: those of the settings that say what masks mean, not for images alone.
    """

    settings: Mapping[str, Setting]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    later: tuple[str, ...] = ()
    of_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """Everything a config may name, by section word.

    A network's name may also be ``"<source>:<rest>"``, where ``"<source>:"`` is a name here.
    """

    loss: Mapping[str, Choice]
    network: Mapping[str, Choice]
    dataset: Mapping[str, Choice]


def check(tree: Tree, choices: Choices) -> RunConfig:
    """Check a tree and return the config it stands for.

    Raises:
        ConfigError: an unknown key (the nearest is named), a missing key, a name that is in
            no table, or a value of the wrong type; one line.
    """
    tree = dict(tree)
    data = tree.get("data")
    if isinstance(data, dict) and data.get("unlabelled") is not None:
        below = _named(UnlabelledConfig, data["unlabelled"], "data.unlabelled", choices)
        tree["data"] = {**data, "unlabelled": below}
    for key, base in _NAMED_SECTIONS.items():
        if tree.get(key) is not None:
            tree[key] = _named(base, tree[key], key, choices)
    if tree.get("distill") is None:
        tree["distill"] = []
    if isinstance(tree["distill"], list):
        terms = enumerate(tree["distill"])
        tree["distill"] = [_named(LossConfig, t, f"distill.{i}", choices) for i, t in terms]
    config: RunConfig = _validate(RunConfig, tree, "")
    _check_whole(config)
    return config


def check_network(tree: Any, choices: Choices, where: str) -> NetworkConfig:
    """Check the tree of one network alone; raises as :func:`check`.

    Args:
        tree: a section such as ``student``.
        choices: everything a config may name.
        where: what messages call it.
    """
    section = _named(NetworkConfig, tree, where, choices)
    assert isinstance(section, NetworkConfig)
    return section


def _check_whole(config: RunConfig) -> None:
    if config.distill and config.teacher is None:
        raise ConfigError("distill: expected a section 'teacher' beside it, got none")
    low, high = config.data.scale
    if low > high:
        raise ConfigError(f"data.scale: expected [low, high], got [{low}, {high}]")
    if config.evaluation.split == "holdout" and not config.data.holdout:
        raise ConfigError(
            "evaluation.split: expected data.holdout above 0 for the split holdout, got 0"
        )
    unlabelled = config.data.unlabelled
    if unlabelled is not None and unlabelled.per_batch >= config.data.batch_size:
        raise ConfigError(
            f"data.unlabelled.per_batch: expected fewer than batch_size {config.data.batch_size}, "
            f"got {unlabelled.per_batch}"
        )
    parts = config.training.accumulate
    share = config.data.batch_size / (parts * config.training.devices)
    if share != int(share):
        raise ConfigError(
            f"training.accumulate: expected batch_size {config.data.batch_size} to divide into "
            f"{parts} parts on {config.training.devices} devices"
        )


def _named(base: type[NamedSection], tree: Any, where: str, choices: Choices) -> NamedSection:
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected keys such as {base.selector}, got {tree!r}")
    table: Mapping[str, Choice] = getattr(choices, base.selector)
    name = tree.get(base.selector)
    if not isinstance(name, str):
        raise ConfigError(f"{where}.{base.selector}: expected one of: {', '.join(sorted(table))}")
    source, colon, _ = name.partition(":")
    row = source + colon if colon else name
    if row not in table:
        raise ConfigError(
            f"{where}.{base.selector}: there is no {base.selector} '{name}'; {nearest(name, table)}"
        )
    section: NamedSection = _validate(_model(base, row, _Key(table)), tree, where)
    return section


class _Key:
    """A table as a cache key: the same object is the same table."""

    def __init__(self, table: Mapping[str, Choice]) -> None:
        self.table = table

    def __hash__(self) -> int:
        return id(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.table is other.table


@cache
def _model(base: type[NamedSection], name: str, key: _Key) -> type[NamedSection]:
    choice = key.table[name]
    fields: dict[str, Any] = {}
    without = choice.of_labels if base is UnlabelledConfig else ()
    known = {key: value for key, value in choice.settings.items() if key not in without}
    for setting, value in known.items():
        if setting in base.model_fields:
            raise LookupError(
                f"{name}: expected settings of its own, got '{setting}' of the section"
            )
        default = ... if value.default is Parameter.empty else value.default
        fields[setting] = (value.type, default)
    for setting, default in choice.defaults.items():
        annotation = base.model_fields[setting].annotation
        fields[setting] = (annotation, default)
    model = create_model(base.__name__, __base__=base, **fields)
    model.setting_names = tuple(known)
    model.later_names = tuple(key for key in choice.later if key in known)
    return model


def _validate(model: type[Section], tree: Any, where: str) -> Any:
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([*([where] if where else []), *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            unknown = str(first["loc"][-1])
            known = _known_keys(model, first["loc"][:-1])
            raise ConfigError(f"unknown key '{path}'; {nearest(unknown, known)}") from None
        if first["type"] == "missing":
            raise ConfigError(f"{path}: expected a value, got none") from None
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ConfigError(f"{path}: {message}, got {first['input']!r}") from None


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> Iterator[str]:
    for step in path:
        inner = model.model_fields[str(step)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return iter(())
        model = inner
    return iter(model.model_fields)


_NAMED_SECTIONS: dict[str, type[NamedSection]] = {
    "data": DataConfig,
    "teacher": NetworkConfig,
    "student": NetworkConfig,
}
