"""From a tree to a checked config, or to one line that says what is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from segdistill.catalogue.backbones import listed_backbones, unknown_backbone
from segdistill.catalogue.losses import OWN, row_of
from segdistill.catalogue.networks import ENSEMBLE
from segdistill.catalogue.task_losses import TASK_LOSSES
from segdistill.checks import check_normalisation, nearest
from segdistill.config.mistakes import expected, shown, validate
from segdistill.config.rows import TABLES, row_model, row_name
from segdistill.config.sections import (
    DataConfig,
    LossConfig,
    NamedSection,
    NetworkConfig,
    RunConfig,
    TaskConfig,
    TrainingConfig,
    Tree,
    UnlabelledConfig,
)
from segdistill.errors import ConfigError

NAMED_SECTIONS: dict[str, type[NamedSection]] = {
    "data": DataConfig,
    "teacher": NetworkConfig,
    "student": NetworkConfig,
}
"""The sections of a run file that name a row of a table."""

Named = TypeVar("Named", bound=NamedSection)

_MOST_NAMES = 30
"""A message lists at most this many names."""


def check(tree: Tree) -> RunConfig:
    """Check a tree and return its config.

    Raises:
        ConfigError: an unknown key (the nearest is named), a missing key, a name that is not
            in its table, or a value that its key does not accept; one line.
    """
    tree = dict(tree)
    for key, base in NAMED_SECTIONS.items():
        if tree.get(key) is not None:
            tree[key] = check_named(base, tree[key], key)
    if tree.get("distill") is None:
        tree["distill"] = []
    if isinstance(tree["distill"], list):
        terms = enumerate(tree["distill"])
        tree["distill"] = [check_named(LossConfig, term, f"distill.{i}") for i, term in terms]
    config: RunConfig = validate(RunConfig, tree)
    _check_whole(config)
    return config


def check_named(base: type[Named], tree: Any, where: str) -> Named:
    """Check a section that names a row of a table.

    Args:
        base: the section.
        tree: the section in the file.
        where: its path, for messages.

    Raises:
        ConfigError: see :func:`check`.
    """
    if not isinstance(tree, dict):
        several = ", or network: ensemble with members" if where == "teacher" else ""
        raise expected(where, f"a section with keys such as {base.selector}{several}", tree)
    table = TABLES[base.selector]
    name = tree.get(base.selector)
    path = f"{where}.{base.selector}"
    listed = f"segdistill list {base.selector}s"
    if base.selector == "loss":
        listed = "segdistill list losses"
    if name is None:
        raise ConfigError(f"{path}: expected the name of a {base.selector}, got none; see {listed}")
    if not isinstance(name, str) or row_name(name) not in table:
        answer = nearest(row_name(str(name)), table)
        if not answer.startswith("did") and len(table) > _MOST_NAMES:
            answer = f"see {listed}"
        raise ConfigError(f"{path}: there is no {base.selector} {shown(name)}; {answer}")
    if isinstance(tree.get("unlabelled"), dict) and issubclass(base, DataConfig):
        below = check_named(UnlabelledConfig, tree["unlabelled"], f"{where}.unlabelled")
        tree = {**tree, "unlabelled": below}
    if name == ENSEMBLE and isinstance(tree.get("members"), list | tuple):
        tree = {**tree, "members": _members(tree["members"], f"{where}.members")}
    section: Named = validate(row_model(base, row_name(name)), tree, where)
    if isinstance(section, LossConfig):
        _check_term(section, where)
    if isinstance(section, NetworkConfig) and name == ENSEMBLE:
        _check_of_members(section, where)
    settings = section.settings()
    if isinstance(section, NetworkConfig) and "mean" in settings:
        try:
            check_normalisation(where, settings["mean"], settings["std"])
        except ValueError as error:
            raise ConfigError(str(error)) from None
    backbone = section.settings().get("backbone")
    if isinstance(backbone, str) and unknown_backbone(backbone):
        raise ConfigError(
            f"{where}.backbone: expected a backbone of timm or segdistill, got {shown(backbone)}; "
            f"{_nearest_backbone(backbone)}"
        )
    return section


def _members(members: Any, where: str) -> list[Tree]:
    """Check the members of an ensemble, and return them with every key."""
    if len(members) < 2:
        raise ConfigError(f"{where}: expected two teachers or more, got {len(members)}")
    checked = []
    for place, member in enumerate(members):
        section = check_named(NetworkConfig, member, f"{where}.{place}")
        if section.network == ENSEMBLE:
            raise ConfigError(f"{where}.{place}: expected one network, got an ensemble")
        for key in ("shard", "cache"):
            if getattr(section, key):
                raise ConfigError(
                    f"{where}.{place}.{key}: expected it of the whole teacher, got it of a member; "
                    f"set teacher.{key}"
                )
        checked.append(section.model_dump(mode="json"))
    return checked


def _check_of_members(section: NetworkConfig, where: str) -> None:
    """Refuse of an ensemble what each of its members has."""
    for key in ("weights", "backbone_weights", "untrained", "class_map"):
        if getattr(section, key):
            raise ConfigError(
                f"{where}.{key}: expected it of each member of an ensemble, got it of the whole; "
                f"give {where}.members.0.{key}"
            )


def _of_whole(loss: str) -> str:
    if loss.startswith(OWN):
        return "may compare all images of the batch at once"
    return "compares all images of the batch at once"


def _check_term(term: LossConfig, where: str) -> None:
    if term.beside and not row_of(term.loss).beside:
        raise ConfigError(
            f"{where}.beside: expected a loss that uses further maps, got {term.loss}; leave it out"
        )
    if term.standardize and row_of(term.loss).tap != "logits":
        raise ConfigError(
            f"{where}.standardize: expected a loss of logits, got {term.loss}, which compares "
            "features; leave it out"
        )


def _nearest_backbone(name: str) -> str:
    answer = nearest(name, listed_backbones() or ())
    return answer if answer.startswith("did") else "see segdistill list backbones"


def _check_whole(config: RunConfig) -> None:
    if config.distill and config.teacher is None:
        raise ConfigError("distill: expected a section 'teacher' too, got none")
    student = config.student
    if student.network == ENSEMBLE:
        raise ConfigError(
            "student.network: expected one network, got ensemble, which only teaches; distil it "
            "into one"
        )
    if student.class_map is not None and "class_map" not in student.setting_names:
        raise ConfigError(
            f"student.class_map: expected none, because a student {student.network} learns the "
            f"dataset's classes, got {list(student.class_map)}; leave it out"
        )
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
    if config.data.batch_size % (parts * config.training.devices):
        raise ConfigError(
            f"training.accumulate: expected batch_size {config.data.batch_size} to be divisible "
            f"into {parts} parts on {config.training.devices} devices"
        )
    for index, term in enumerate(config.distill):
        if parts > 1 and row_of(term.loss).whole_batch:
            raise ConfigError(
                f"distill.{index}.loss: expected a loss that can be computed in parts of a batch, "
                f"got {term.loss}, which {_of_whole(term.loss)}; "
                "set training.accumulate=1, or use more devices"
            )
    _check_training(config.training)
    if config.training.device == "cpu":
        check_precision(config.training.precision)


def _check_training(training: TrainingConfig) -> None:
    if training.schedule == "step" and training.step_every is None:
        raise ConfigError(
            "training.step_every: expected a number of steps for schedule step, got none"
        )
    obstacle = not_compiled(training)
    if training.compile in ("on", "graphs") and obstacle:
        raise ConfigError(
            f"training.compile: expected auto or off with {obstacle}, got {training.compile}; "
            "such steps are not compiled"
        )
    if training.compile == "graphs" and training.device == "cpu":
        raise ConfigError(
            "training.compile: expected auto, off or on with training.device=cpu, got graphs, "
            "which need a GPU"
        )
    task = training.task
    row = TASK_LOSSES[task.loss]
    if row.whole_batch and training.accumulate > 1:
        raise ConfigError(
            "training.task.loss: expected a loss that can be computed in parts of a batch, got "
            f"{task.loss}, which depends on all positions of the batch at once; set "
            "training.accumulate=1, or use more devices"
        )
    for name, other in TASK_LOSSES.items():
        for key in other.settings:
            default = TaskConfig.model_fields[key].default
            if getattr(task, key) != default and key not in row.settings:
                raise ConfigError(
                    f"training.task.{key}: expected loss {name}, got {task.loss}, which does not "
                    f"use {key}"
                )
    if training.label_smoothing and not row.smooths:
        raise ConfigError(
            "training.label_smoothing: expected training.task.loss cross_entropy, got "
            f"{task.loss}, which does not support it"
        )


def not_compiled(training: TrainingConfig) -> str:
    """Return the setting with which steps are never compiled, empty if there is none.

    Several devices or parts draw dropout for the whole batch, and quantisation-aware training
    changes the weights in every forward; both intervene in the network, which torch.compile
    does not follow.
    """
    if training.devices > 1:
        return f"training.devices={training.devices}"
    if training.accumulate > 1:
        return f"training.accumulate={training.accumulate}"
    return f"training.quantize={training.quantize}" if training.quantize else ""


def check_precision(precision: str) -> None:
    """Refuse a precision that a CPU does not support.

    Raises:
        ConfigError: it is 16-mixed, which libraries silently replace with bf16.
    """
    if precision == "16-mixed":
        raise ConfigError(
            "training.precision: expected 32-true or bf16-mixed on a CPU, got 16-mixed; "
            "set training.precision=bf16-mixed"
        )
