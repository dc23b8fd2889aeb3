"""Reading a file of weights: tensors by name, and what else the file contains."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from segdistill.errors import CheckpointError
from segdistill.files import check_ends
from segdistill.json_text import load_json
from segdistill.models.checkpoints.locating import weight_file
from segdistill.models.checkpoints.pickles import Placeholder, module_tensors, read_pickle

# Keys that trainers put a state dict under, in the order in which one is taken.
_KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "network",
    "net",
    "module",
    "ema",
    "state_dict_ema",
    "model_ema",
)
_DEEPEST = 3


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file of weights.

    Attributes:
        source: as the user named it.
        states: tensors by name, by the dotted key that they lay under; ``""`` is the file itself.
        beside: keys without tensors of a network, such as ``optimizer``.
        code: classes and functions that the file names, none of which was loaded.
        classes: names of the classes, where the file says them.
        settings: of the network, where the file says them.
    """

    source: str
    states: Mapping[str, Mapping[str, Tensor]]
    beside: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    settings: Mapping[str, Any] | None = None


def read_checkpoint(source: str | Path) -> Checkpoint:
    """Read a file of weights of any common form; its suffix says nothing.

    Args:
        source: see :func:`segdistill.models.checkpoints.locating.weight_file`.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is broken, or contains no tensors by name.
    """
    path = weight_file(source)
    if path.name.endswith(".index.json"):
        checkpoint = _read_shards(path)
    elif _is_safetensors(path):
        checkpoint = _read_safetensors(path)
    else:
        checkpoint = _read_torch(path)
    if not any(checkpoint.states.values()):
        names = ", ".join(checkpoint.code[:5])
        got = f"one that holds code, which is never run ({names})" if names else "one without"
        raise CheckpointError(
            f"{source}: expected a file of tensors by name, got {got}"
            f" (keys: {', '.join(checkpoint.beside[:8]) or 'none'}); save network.state_dict()"
        )
    return replace(checkpoint, source=str(source))


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file.

    Raises:
        CheckpointError: it is no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise _no_safetensors(path, error) from error


def saved_config(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the config that segdistill put into metadata, or None if there is none."""
    try:
        config = load_json(metadata["config"])
    except (KeyError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _is_safetensors(path: Path) -> bool:
    check_ends(path)
    with path.open("rb") as file:
        head = file.read(9)
    return path.suffix == ".safetensors" or (len(head) == 9 and head[8:] == b"{")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise _no_safetensors(path, error) from error
    config = saved_config(read_metadata(path)) or {}
    settings = config.get("network")
    return Checkpoint(
        source=str(path),
        states={"": tensors},
        classes=_class_names(config.get("classes")) or _classes_beside(path),
        settings=settings if isinstance(settings, dict) else None,
    )


def shards_of(path: Path) -> list[Path]:
    """Return the files that an index of shards lists, which are next to it.

    Raises:
        CheckpointError: it is no index, or names a file elsewhere.
    """
    try:
        check_ends(path)
        listed = load_json(path.read_text(encoding="utf-8"))["weight_map"]
        files = sorted({str(file) for file in listed.values()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: expected an index of shards with a weight_map, got none; name the file of "
            "weights itself"
        ) from error
    elsewhere = next((file for file in files if Path(file).name != file), None)
    if elsewhere is not None:
        raise CheckpointError(
            f"{path}: expected shards beside it, got {elsewhere}; copy them there"
        )
    return [path.parent / file for file in files]


def _read_shards(path: Path) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    for shard in shards_of(path):
        if not shard.is_file():
            raise FileNotFoundError(f"{path}: expected its shard {shard.name} beside it, got none")
        tensors |= _read_safetensors(shard).states[""]
    return Checkpoint(source=str(path), states={"": tensors}, classes=_classes_beside(path))


def _read_torch(path: Path) -> Checkpoint:
    content, code = read_pickle(path)
    states, beside = dict(_states(content, "", 0)), _beside(content)
    return Checkpoint(
        source=str(path),
        states=dict(sorted(states.items(), key=lambda item: _rank(item[0]))),
        beside=tuple(key for key in beside if not any(_within(key, place) for place in states)),
        code=code,
        classes=_classes_inside(content) or _classes_beside(path),
    )


def _states(content: object, place: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every state dict in a file with its dotted key, the outermost first."""
    if isinstance(content, Placeholder):
        tensors = module_tensors(content)
        if tensors:
            yield place, tensors
        return
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    # State dicts have dotted names; the numbers of an optimiser's state are none.
    if tensors and all(isinstance(key, str) for key in content):
        yield place, tensors
    for key, value in content.items():
        if isinstance(key, str) and not key.startswith("optim"):
            yield from _states(value, f"{place}.{key}" if place else key, depth + 1)


def _rank(place: str) -> tuple[int, int]:
    last = place.rpartition(".")[2]
    return (_KEYS.index(last) if last in _KEYS else -1 if not place else len(_KEYS), len(place))


def _beside(content: object) -> list[str]:
    if not isinstance(content, Mapping):
        return []
    return [str(key) for key, value in content.items() if not isinstance(value, Tensor)]


def _within(key: str, place: str) -> bool:
    return place == key or place.startswith(f"{key}.")


def _classes_inside(content: object) -> tuple[str, ...] | None:
    """Return the class names of an mmsegmentation or similar file."""
    if not isinstance(content, Mapping):
        return None
    meta = content.get("meta")
    places: list[object] = [content]
    if isinstance(meta, Mapping):
        places += [meta, meta.get("dataset_meta")]
    for place in places:
        if isinstance(place, Mapping):
            for key in ("classes", "CLASSES", "class_names"):
                names = _class_names(place.get(key))
                if names:
                    return names
    return None


def _classes_beside(path: Path) -> tuple[str, ...] | None:
    """Return the class names of the Hugging Face config next to a file."""
    file = path.parent / "config.json"
    try:
        labels = load_json(file.read_text(encoding="utf-8"))["id2label"]
        return _class_names([labels[str(place)] for place in range(len(labels))])
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _class_names(names: object) -> tuple[str, ...] | None:
    if not isinstance(names, (list, tuple)) or not names:
        return None
    texts = tuple(name for name in names if isinstance(name, str))
    unnamed = all(re.fullmatch(r"LABEL_\d+", name) for name in texts)
    return None if len(texts) != len(names) or unnamed else texts


def _no_safetensors(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: expected a safetensors file, got one that cannot be read ({error}); it may "
        "be cut off: copy or save it again"
    )
