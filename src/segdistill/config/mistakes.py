"""What is wrong with a config, in one line: the key, what was expected, what was given.

The words come from the declared type and range of the key, never from pydantic, so that every
kind of mistake reads alike.
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
    "amp": "that is training.precision=bf16-mixed",
    "batch_size": "that is data.batch_size",
    "class_weights": "that is training.task.class_weights",
    "compile": "steps run as they are written here; leave it out",
    "early_stopping": "the best weights on the way are kept beside the last, with "
    "training.evaluate_every; leave it out",
    "epochs": "that is training.steps, of which an epoch has as many as there are images, by "
    "data.batch_size",
    "freeze": "that is training.freeze",
    "gradient_clip": "that is training.clip_norm",
    "head_lr": "that is training.lr_scale, as in {head: 10}",
    "ignore_index": "that is data.ignore, of datasets with masks; 255 is ignored always",
    "mean": "that is student.mean and teacher.mean, of networks that do not know their own",
    "num_classes": "the data say how many there are; leave it out",
    "reduce_zero_label": "that is data.reduce_labels, of datasets with masks",
    "loss": "that is training.task.loss, or distill.0.loss of a distillation term",
    "task_loss": "that is training.task.loss",
    "task_weight": "the task's loss counts once; change the weight of each term in distill",
}
"""What other trainers call a key, and where it is here."""


def validate(model: type[Section], tree: Any, where: str = "") -> Any:
    """Return the section that a tree stands for.

    Args:
        model: the section.
        tree: what the file gives for it.
        where: path of the section, which comes before the key in a message.

    Raises:
        ConfigError: one line about the first mistake.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, model, tree, where) from None


def expected(path: str, accepts: str, value: Any, choices: Sequence[Any] = ()) -> ConfigError:
    """Return the error about a value that a key does not take.

    Args:
        path: of the key.
        accepts: what it takes, in words.
        value: what was given.
        choices: the only values that it takes, where it lists them.
    """
    answer = nearest(value, map(str, choices)) if isinstance(value, str) and choices else ""
    # All choices are in the message already.
    hint = f"; {answer}" if answer.startswith("did") else ""
    return ConfigError(f"{path}: expected {accepts}, got {shown(value)}{hint}")


def shown(value: Any) -> str:
    """Return a value as a message quotes it, in YAML's words and not too long."""
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
    # Pydantic's word for what is wrong with a name itself.
    names = loc[-1:] == ("[key]",)
    keys, holder, wanted = _locate(model, loc[:-2] if names else loc)
    path = ".".join([*([where] if where else []), *map(str, keys)])
    if names and first["type"] == "literal_error":
        known = first["ctx"]["expected"].replace("'", "")
        return ConfigError(f"{path}: expected names among {known}, got {loc[-2]}")
    if names:
        return ConfigError(f"{path}: expected names that are text, got {loc[-2]}")
    whole = len(keys) == len(loc)
    if first["type"] == "extra_forbidden" and whole and holder is not None:
        key = str(keys[-1])
        answer = nearest(key, holder.model_fields)
        if not answer.startswith("did"):
            answer = _ELSEWHERE.get(key, answer)
        return ConfigError(f"unknown key '{path}'; {answer}")
    if first["type"] == "missing" and whole:
        return ConfigError(f"{path}: expected {wanted.accepts}, got none; add it")
    if first["type"] in ("path", "split"):
        return ConfigError(f"{path}: {first['msg']}")
    return expected(path, wanted.accepts, _value(tree, keys), wanted.choices)


def _locate(
    model: type[BaseModel], loc: Sequence[int | str]
) -> tuple[list[int | str], type[BaseModel] | None, Setting]:
    """Follow a path of pydantic's as far as it names keys.

    Returns:
        The keys, the model that holds the last of them, and the setting it is.
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
    """Return the type of a key without the null that it may have instead."""
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
