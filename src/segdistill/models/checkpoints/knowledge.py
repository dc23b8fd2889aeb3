"""What a file knows of its network, held against what the config says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from segdistill.classes import match_classes
from segdistill.errors import CheckpointError
from segdistill.json_text import load_json
from segdistill.models.checkpoints.loading import (
    ClassPart,
    load_checkpoint,
    resized,
    shapes,
)
from segdistill.models.checkpoints.reading import Checkpoint
from segdistill.models.foreign.adapter import Adapter

# Where weights come from and what taps are called changes nothing that a file knows.
_NOT_COMPARED = ("weights", "backbone_weights", "pretrained", "taps")


@dataclass(frozen=True)
class Request:
    """What is asked of a file of weights.

    Attributes:
        settings: of the network, defaults included.
        classes: how many the data have.
        class_names: their names; none if unknown.
        fine_tune: initialise a classifier of other classes at random.
        rebuild: builds the network for another number of classes.
    """

    settings: Mapping[str, object]
    classes: int
    class_names: tuple[str, ...]
    fine_tune: bool
    rebuild: Callable[[int], nn.Module]


def load_network(network: nn.Module, checkpoint: Checkpoint, request: Request) -> list[str]:
    """Load a file into a network after comparing settings and class names.

    Args:
        network: as ``build_network`` made it.
        checkpoint: the file.
        request: what the config says.

    Returns:
        Sentences on what was stripped, skipped, left out, and differs from the config.

    Raises:
        CheckpointError: the file is of another network or of other classes.
    """
    # A file knows nothing of the adapter around somebody else's network.
    target = network.network if isinstance(network, Adapter) else network
    prefix = "network." if isinstance(network, Adapter) else ""
    differences = _differences(checkpoint.settings or {}, request.settings)
    hint = f"it was saved with {', '.join(differences)}" if differences else ""
    part = _class_part(network, checkpoint, request, prefix)
    try:
        loaded = load_checkpoint(target, checkpoint, classes=part, hint=hint)
    except CheckpointError:
        names = (
            () if part.fresh or not request.fine_tune else _class_names(request, network, prefix)
        )
        names = names or resized(target, checkpoint, request.classes)
        if not request.fine_tune or not names:
            raise
        loaded = load_checkpoint(
            target, checkpoint, classes=ClassPart(names, fresh=True), hint=hint
        )
    if checkpoint.settings is not None and loaded.match.prefix == prefix:
        # Our own file of an adapted network: nothing that a user need know.
        loaded = replace(loaded, match=replace(loaded.match, prefix=""))
    sentences = loaded.sentences()
    if differences:
        sentences.append(f"{checkpoint.source}: {hint}; the config's settings are used")
    return sentences


def _class_part(
    network: nn.Module, checkpoint: Checkpoint, request: Request, prefix: str
) -> ClassPart:
    """Compare class names; a class map of the config is the last word."""
    mapped = request.settings.get("class_map") is not None
    if mapped or not checkpoint.classes or not request.class_names:
        return ClassPart()
    try:
        order = match_classes(checkpoint.classes, request.class_names)
    except ValueError as error:
        if not request.fine_tune:
            raise CheckpointError(f"{checkpoint.source}: {error}") from None
        return ClassPart(_class_names(request, network, prefix), fresh=True)
    if order == tuple(range(len(checkpoint.classes))):
        return ClassPart()
    sizes, other = shapes(network), _other_shapes(request)
    names = _class_names(request, network, prefix)
    whole = all(sizes[prefix + name][1:] == other[prefix + name][1:] for name in names)
    return ClassPart(names, order, whole=whole)


def _class_names(request: Request, network: nn.Module, prefix: str) -> tuple[str, ...]:
    """Return the tensors that another number of classes would change, by building it so."""
    sizes, other = shapes(network), _other_shapes(request)
    return tuple(
        name.removeprefix(prefix) for name, size in sizes.items() if other.get(name, size) != size
    )


def _other_shapes(request: Request) -> dict[str, tuple[int, ...]]:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            return shapes(request.rebuild(request.classes + 1))
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            # Somebody else's code need not run without memory; the file's shapes are left.
            return {}


def _differences(saved: Mapping[str, Any], given: Mapping[str, object]) -> list[str]:
    """Return the settings in which a file and a config differ, as ``key value (here value)``."""
    kept = {key: value for key, value in saved.items() if key not in _NOT_COMPARED}
    return [
        f"{key} {value} (here {_plain(given[key])})"
        for key, value in kept.items()
        if key in given and _plain(given[key]) != value
    ]


def _plain(value: object) -> Any:
    """Return a value as stored in JSON, so that tuples equal lists."""
    return load_json(json.dumps(value, default=str))
