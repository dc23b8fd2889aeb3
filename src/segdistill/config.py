"""Configs: YAML with overrides, checked into frozen records before anything is loaded.

A section that names something from a table (``loss``, ``network``, ``dataset``) takes that
row's settings beside its own keys. What may be named comes in as :class:`Choices`, so this
file needs neither torch nor the packages that own the tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    create_model,
)

from segdistill.checks import nearest
from segdistill.errors import ConfigError
from segdistill.tables import Setting

Tree = dict[str, Any]
"""A config as YAML gives it: nested dicts, lists and scalars."""

Fraction = Field(ge=0.0, le=1.0)


@dataclass(frozen=True)
class Choice:
    """What one name of a table means in a config.

    Attributes:
        settings: the row's own keys.
        defaults: its defaults for keys that every row of the section has.
    """

    settings: Mapping[str, Setting]
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """Everything a config may name, by section word.

    A network's name may also be ``"<source>:<rest>"``, where ``"<source>:"`` is a name here.
    """

    loss: Mapping[str, Choice]
    network: Mapping[str, Choice]
    dataset: Mapping[str, Choice]


class Section(BaseModel):
    """Base of all sections: frozen, and no key beside the declared ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NamedSection(Section):
    """A section that names a row of a table and carries that row's settings."""

    selector: ClassVar[str]
    setting_names: ClassVar[tuple[str, ...]] = ()

    def settings(self) -> Tree:
        """Return the settings of the row alone, without the section's own keys."""
        return {key: getattr(self, key) for key in self.setting_names}


class UnlabelledConfig(NamedSection):
    """Images without masks that fill a part of every batch, for the distillation losses alone."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset, such as images")
    split: str = Field("train", description="split of that dataset; masks are not read")
    per_batch: PositiveInt = Field(description="how many of batch_size they are")


class DataConfig(NamedSection):
    """Where images come from and how a training batch is made of them."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset: segdistill list datasets")
    batch_size: PositiveInt = Field(8, description="images a step, over all processes")
    crop: tuple[PositiveInt, PositiveInt] = Field(description="height and width of a crop")
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.5, 2.0), description="range of the random scale, before cropping"
    )
    flip: bool = Field(True, description="mirror every other image")
    jitter: float = Field(
        0.0, ge=0.0, le=1.0, description="strength of brightness, contrast and saturation jitter"
    )
    seed: int = Field(0, description="seed of order and augmentation: equal seed, equal batches")
    workers: int = Field(0, ge=0, description="loader processes; changes speed, never batches")
    on_error: Literal["raise", "skip"] = Field(
        "raise", description="skip: draw another for an image that cannot be read, and list it"
    )
    unlabelled: SerializeAsAny[UnlabelledConfig] | None = Field(
        None, description="section: dataset and per_batch; losses that need labels see none there"
    )


class NetworkConfig(NamedSection):
    """A teacher or a student."""

    selector = "network"

    network: str = Field(description="name of a network: segdistill list networks")
    weights: Path | None = Field(None, description="safetensors file to start from")
    taps: dict[str, str] = Field({}, description="tap name to module path, where not the usual")


class LossConfig(NamedSection):
    """One distillation term of the objective."""

    selector = "loss"

    loss: str = Field(description="name of a loss: segdistill list losses")
    tap: str = Field(
        description="backbone, head, logits or a module path; the paper's unless given"
    )
    weight: float = Field(ge=0.0, description="weight in the objective; the paper's unless given")
    align: Literal["teacher", "student", "none"] = Field(
        "teacher", description="which map is resized where sizes differ"
    )
    project: Literal["linear", "conv_bn_relu", "mlp", "none"] = Field(
        "none", description="projector of the student where widths differ"
    )


class TrainingConfig(Section):
    """How a learner is optimised."""

    steps: PositiveInt = Field(description="optimiser steps")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd or adamw")
    lr: PositiveFloat = Field(0.01, description="learning rate after warm-up")
    momentum: float = Field(0.9, ge=0.0, lt=1.0, description="of sgd")
    weight_decay: float = Field(5e-4, ge=0.0, description="L2 of sgd, decoupled in adamw")
    decay_norms_and_biases: bool = Field(
        True, description="false: no weight decay on normalisation layers and biases"
    )
    schedule: Literal["poly", "cosine", "constant"] = Field("poly", description="of the rate")
    power: PositiveFloat = Field(0.9, description="of the poly schedule")
    warmup_steps: int = Field(0, ge=0, description="linear warm-up before the schedule")
    clip_norm: PositiveFloat | None = Field(None, description="largest gradient norm")
    accumulate: PositiveInt = Field(
        1, description="parts that a batch is split into to save memory; must divide it"
    )
    ema: float | None = Field(
        None, gt=0.0, lt=1.0, description="decay of averaged weights, which are then the result"
    )
    auxiliary_weight: float = Field(0.4, ge=0.0, description="of the auxiliary head's loss")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0, description="of the task loss")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="of forward and backward; weights are float32"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="cuda where there is one")
    devices: PositiveInt = Field(1, description="processes, one device each")
    deterministic: bool = Field(False, description="bit-identical runs on a GPU, slower")
    seed: int = Field(0, description="seed of initialisation and dropout")
    evaluate_every: PositiveInt | None = Field(None, description="steps; else only at the end")
    checkpoint_every: PositiveInt = Field(500, description="steps between checkpoints")
    log_every: PositiveInt = Field(20, description="steps between lines of metrics.jsonl")
    tensorboard: bool = Field(False, description="also write TensorBoard files")


class EvaluationConfig(Section):
    """How a network is scored."""

    split: str = Field("val", description="split of the dataset")
    scales: tuple[PositiveFloat, ...] = Field((1.0,), description="scales averaged")
    flip: bool = Field(False, description="also average the mirrored image")
    window: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="height and width of a sliding window, for large images"
    )
    pictures: int = Field(6, ge=0, description="predictions kept as pictures")


class RunConfig(Section):
    """Everything that makes one run, apart from where it is written."""

    data: SerializeAsAny[DataConfig]
    teacher: SerializeAsAny[NetworkConfig] | None = None
    student: SerializeAsAny[NetworkConfig]
    distill: tuple[SerializeAsAny[LossConfig], ...] = ()
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()

    def tree(self) -> Tree:
        """Return the resolved config as YAML would hold it, every default written out."""
        tree: Tree = self.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return 12 hexadecimal digits of all that changes the result of the run."""
        tree = self.tree()
        for section, key in _RESULT_DOES_NOT_DEPEND_ON:
            tree[section].pop(key)
        text = json.dumps(tree, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_RESULT_DOES_NOT_DEPEND_ON = (
    ("data", "workers"),
    ("training", "checkpoint_every"),
    ("training", "log_every"),
    ("training", "tensorboard"),
    ("evaluation", "pictures"),
)


def read_tree(file: Path) -> Tree:
    """Read a YAML file into a tree.

    Raises:
        ConfigError: there is no such file, or it is not a YAML mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: expected a config file, got {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: expected YAML in UTF-8") from None
    return parse_tree(text, str(file))


def parse_tree(text: str, name: str) -> Tree:
    """Parse YAML into a tree.

    Args:
        text: the YAML.
        name: what an error calls it.

    Raises:
        ConfigError: the text is not a YAML mapping.
    """
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: expected YAML, got {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected a mapping of sections, got {type(tree).__name__}")
    return tree


def override(tree: Tree, words: Sequence[str]) -> Tree:
    """Return the tree with ``a.b=value`` words applied in order; values are YAML.

    Raises:
        ConfigError: a word has no ``=``, or its path leads through something that is no
            section.
    """
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not path:
            raise ConfigError(f"override '{word}': expected key=value, as in training.lr=0.01")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"override '{word}': expected a YAML value after '='") from None
        tree = _put(tree, path.split("."), value, word)
    return tree


def merge(tree: Tree, overlay: Mapping[str, Any]) -> Tree:
    """Return the tree with an overlay's keys on top; lists are replaced, not merged.

    Naming another ``network`` or ``loss`` replaces its whole sub-tree. Naming another
    ``dataset`` keeps the keys that all datasets share (crop, batch size, ...).
    """
    merged = dict(tree)
    for key in _SELECTORS & overlay.keys():
        if overlay[key] != merged.get(key):
            shared = _SHARED_BY_DATASETS if key == "dataset" else ()
            merged = {name: value for name, value in merged.items() if name in shared}
    for key, value in overlay.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def cohort(tree: Tree) -> dict[str, Tree]:
    """Split a tree with a ``cohort`` section into one tree a learner.

    ``cohort`` maps a learner's name to what differs from the rest of the file; a file
    without it is one learner, named ``""``.

    Raises:
        ConfigError: ``cohort`` is no mapping of names to sections.
    """
    rest = {key: value for key, value in tree.items() if key != "cohort"}
    if "cohort" not in tree:
        return {"": rest}
    overlays = tree["cohort"]
    if not (isinstance(overlays, dict) and overlays):
        raise ConfigError("cohort: expected names of learners, each with what differs")
    for name, overlay in overlays.items():
        if not (isinstance(overlay, dict) and isinstance(name, str)):
            raise ConfigError(f"cohort.{name}: expected sections such as distill or student")
    return {name: merge(rest, overlay) for name, overlay in overlays.items()}


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


_NAMED_SECTIONS: dict[str, type[NamedSection]] = {
    "data": DataConfig,
    "teacher": NetworkConfig,
    "student": NetworkConfig,
}


def _check_whole(config: RunConfig) -> None:
    if config.distill and config.teacher is None:
        raise ConfigError("distill: expected a section 'teacher' beside it, got none")
    low, high = config.data.scale
    if low > high:
        raise ConfigError(f"data.scale: expected [low, high], got [{low}, {high}]")
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


_SELECTORS = {section.selector for section in (DataConfig, NetworkConfig, LossConfig)}
_SHARED_BY_DATASETS = {*DataConfig.model_fields, *UnlabelledConfig.model_fields}


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
    for setting, value in choice.settings.items():
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
    model.setting_names = tuple(choice.settings)
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


def _put(tree: Any, path: Sequence[str], value: Any, word: str) -> Any:
    head, *rest = path
    if isinstance(tree, list):
        if not head.isdigit() or int(head) >= len(tree):
            raise ConfigError(
                f"override '{word}': expected a place from 0 to {len(tree) - 1}, got '{head}'"
            )
        place = int(head)
        below = _put(tree[place], rest, value, word) if rest else value
        return [*tree[:place], below, *tree[place + 1 :]]
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"override '{word}': expected a section before '.{head}', got {tree!r}")
    if rest:
        return {**tree, head: _put(tree.get(head), rest, value, word)}
    return merge(tree, {head: value}) if head in _SELECTORS else {**tree, head: value}
