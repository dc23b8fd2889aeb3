"""What is wrong with a config, in one line: the key, the expected values, the given one.

The wording comes from the declared type and range of the key, never from pydantic, so that all
mistakes read alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from segdistill.catalogue.settings import Setting
from segdistill.checks import nearest
from segdistill.config.rows import as_setting
from segdistill.config.sections import Section
from segdistill.errors import ConfigError

_LONGEST = 60

_ELSEWHERE = {
    "amp": "use training.precision=bf16-mixed",
    "batch_size": "use data.batch_size",
    "class_weights": "use training.task.class_weights",
    "compile": "use training.compile",
    "early_stopping": "with training.evaluate_every the best weights are kept as well as the "
    "last; leave it out",
    "epochs": "use training.steps; an epoch is the number of images divided by data.batch_size",
    "freeze": "use training.freeze",
    "gradient_clip": "use training.clip_norm",
    "head_lr": "use training.lr_scale, such as {head: 10}",
    "ignore_index": "use data.ignore, for datasets with masks; 255 is always ignored",
    "mean": "use student.mean and teacher.mean, for networks that do not normalise by themselves",
    "num_classes": "the dataset determines the number of classes; leave it out",
    "reduce_zero_label": "use data.reduce_labels, for datasets with masks",
    "loss": "use training.task.loss, or distill.0.loss for a distillation term",
    "task_loss": "use training.task.loss",
    "task_weight": "use training.task.weight",
}
"""Keys of other trainers, and what to use here instead."""


def validate(model: type[Section], tree: Any, where: str = "") -> Any:
    """Return the checked section of a tree.

    Args:
        model: the section.
        tree: what the file gives for it.
        where: path of the section, which precedes the key in a message.

    Raises:
        ConfigError: one line about the first mistake.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, model, tree, where) from None


def expected(path: str, accepts: str, value: Any, choices: Sequence[Any] = ()) -> ConfigError:
    """Return the error about a value that a key does not accept.

    Args:
        path: path of the key.
        accepts: description of the accepted values.
        value: what was given.
        choices: the only accepted values, if they are listed.
    """
    answer = nearest(value, map(str, choices)) if isinstance(value, str) and choices else ""
    # All choices are in the message already.
    hint = f"; {answer}" if answer.startswith("did") else ""
    return ConfigError(f"{path}: expected {accepts}, got {shown(value)}{hint}")


def shown(value: Any) -> str:
    """Return a value as quoted in a message: as YAML, and shortened."""
    if isinstance(value, str):
        text = f"'{value}'"
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _explain(error: ValidationError, model: type[Section], tree: Any, where: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    loc = first["loc"]
    # Pydantic marks a mistake in a mapping's key itself like this.
    names = loc[-1:] == ("[key]",)
    keys, holder, wanted = _locate(model, loc[:-2] if names else loc)
    path = ".".join([*([where] if where else []), *map(str, keys)])
    if names and first["type"] == "literal_error":
        known = first["ctx"]["expected"].replace("'", "")
        return ConfigError(f"{path}: expected names among {known}, got {loc[-2]}")
    if names:
        return ConfigError(f"{path}: expected names that are strings, got {loc[-2]}")
    whole = len(keys) == len(loc)
    if first["type"] == "extra_forbidden" and whole and holder is not None:
        key = str(keys[-1])
        answer = _ELSEWHERE.get(key) or nearest(key, holder.model_fields)
        return ConfigError(f"unknown key '{path}'; {answer}")
    if first["type"] == "missing" and whole:
        return ConfigError(f"{path}: expected {wanted.accepts}, got none; add it")
    if first["type"] in ("path", "split"):
        return ConfigError(f"{path}: {first['msg']}")
    return expected(path, wanted.accepts, _value(tree, keys), wanted.choices)


def _locate(
    model: type[BaseModel], loc: Sequence[int | str]
) -> tuple[list[int | str], type[BaseModel] | None, Setting]:
    """Follow a location that pydantic reports as far as it names keys.

    Returns:
        The keys, the model that holds the last of them, and the setting of the last one.
    """
    keys: list[int | str] = []
    holder: type[BaseModel] | None = None
    inner: Any = model
    setting = Setting(model, None, "")
    for step in loc:
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            holder = inner
            field = inner.model_fields.get(str(step))
            setting = setting if field is None else as_setting(field)
            inner = None if field is None else _section_inside(field.annotation)
        elif get_origin(inner) is dict:
            inner = get_args(inner)[1]
            setting = Setting(inner, None, "")
        else:
            break
        keys.append(step)
    return keys, holder, setting


def _section_inside(annotation: Any) -> Any:
    """Return the type of a key without its optional null."""
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return parts[0] if len(parts) == 1 else annotation
    return annotation


def _value(tree: Any, keys: Sequence[int | str]) -> Any:
    for key in keys:
        if isinstance(tree, BaseModel):
            tree = getattr(tree, str(key), None)
        elif isinstance(tree, Mapping):
            tree = tree.get(key)
        else:
            tree = tree[int(key)]
    return tree
