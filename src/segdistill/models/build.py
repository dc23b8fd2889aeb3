"""From the settings of a config to a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import nn

from segdistill.catalogue import tables
from segdistill.catalogue.networks import network_entry
from segdistill.catalogue.settings import REQUIRED
from segdistill.catalogue.tables import Entry
from segdistill.checks import nearest
from segdistill.classes import (
    ClassMap,
    NamedClassMap,
    least_classes,
    match_classes,
    resolve_class_map,
)
from segdistill.config import NetworkConfig
from segdistill.config.foreign import fetch_nothing
from segdistill.errors import ConfigError
from segdistill.models.backbone import Backbone
from segdistill.models.checkpoints.backbones import fill_backbone
from segdistill.models.checkpoints.knowledge import Request, load_network
from segdistill.models.checkpoints.reading import Checkpoint, read_checkpoint
from segdistill.models.foreign.adaptation import Adaptation, take_adaptation
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.foreign.labels import folder_classes
from segdistill.models.segmenter import Segmenter
from segdistill.models.taps import set_taps, tap_paths
from segdistill.seeding import derive

COMMON = (
    "network",
    "weights",
    "backbone_weights",
    "taps",
    "class_map",
    "untrained",
    "shard",
    "cache",
    "cache_limit",
)


def build_network(
    settings: NetworkConfig | Mapping[str, object],
    *,
    classes: int,
    seed: int | None = None,
    class_names: Sequence[str] = (),
    fine_tune: bool = False,
    tell: Callable[[str], object] | None = None,
) -> nn.Module:
    """Build the network that a config's ``teacher`` or ``student`` part describes.

    Args:
        settings: a checked section of a config, or the same as a mapping: ``network`` names
            a row of ``NETWORKS``, or a network of somebody else as in ``SOURCES``;
            ``weights`` may name a file of a whole network and ``backbone_weights`` one of its
            backbone, either of which makes ``pretrained`` unnecessary; ``taps`` may map names
            to module paths, and ``class_map`` the data's classes to the network's; the rest are
            that row's settings.
        classes: number of classes.
        seed: seed of the initial weights; None draws them from torch's global generator.
        class_names: of the data; a file or folder that says its own is put into their order
            by name.
        fine_tune: where the file has other classes, its classifier is not taken but starts
            anew. False refuses such a file.
        tell: called with each sentence on what was stripped, skipped and left out.

    Raises:
        ConfigError: the network or a setting does not exist, or one that is required is
            missing.
        CheckpointError: the file of weights belongs to another network, or to other classes.
        FileNotFoundError: there is no such file.
        ValueError: the network refuses a setting, a tap does not exist, or the network's
            classes are not the data's.
    """
    weights: object
    backbone_weights: object
    taps: object
    class_map: object
    if isinstance(settings, NetworkConfig):
        name, arguments = settings.network, dict[str, object](settings.settings())
        weights, taps = settings.weights, settings.taps
        backbone_weights, class_map = settings.backbone_weights, settings.class_map
    else:
        name, arguments = str(settings.get("network", "")), _checked(settings)
        weights, taps = settings.get("weights"), settings.get("taps")
        backbone_weights, class_map = settings.get("backbone_weights"), settings.get("class_map")
    entry = network_entry(name)
    if weights is not None:
        arguments = fetch_nothing(name, arguments)
    if backbone_weights is not None and "pretrained" in entry.settings:
        arguments["pretrained"] = False
    constructor = tables.load("segdistill.models", entry.target)
    checkpoint = None if weights is None else read_checkpoint(str(weights))
    own_names = _own_names(name, checkpoint)
    remarks: list[str] = []
    numbers: ClassMap | None = None
    if class_map is not None:
        numbers = resolve_class_map(cast("NamedClassMap", class_map), own_names, class_names)
    elif checkpoint is None and len(own_names) > 1 and class_names and _keeps_classes(arguments):
        numbers = _by_name(name, own_names, class_names, remarks, fine_tune=fine_tune)
    own_classes = classes
    if "class_map" in entry.settings:
        arguments["class_map"] = numbers
    elif numbers is not None:
        own_classes = len(own_names) or least_classes(numbers)
    given: dict[str, object] = {
        "name": name.partition(":")[2],
        "classes": own_classes,
        "class_names": class_names,
        "tell": tell,
    }
    asked = {"network": name, **_defaults(entry), **arguments}
    if "adaptation" in entry.given:
        given["adaptation"], arguments = take_adaptation(arguments)
    arguments |= {key: given[key] for key in entry.given}
    network = _construct(constructor, arguments, seed)
    remarks = [*_notes(network), *remarks]
    if checkpoint is not None:

        def rebuild(other: int) -> nn.Module:
            return _construct(constructor, arguments | {"classes": other}, 0)

        request = Request(
            settings=asked,
            classes=own_classes,
            class_names=() if numbers is not None else tuple(class_names),
            fine_tune=fine_tune,
            rebuild=rebuild,
        )
        remarks += load_network(network, checkpoint, request)
    elif backbone_weights is not None:
        remarks += fill_backbone(network, read_checkpoint(str(backbone_weights)), name).sentences()
    for sentence in remarks:
        if tell is not None:
            tell(sentence)
    if numbers is not None and not isinstance(network, Adapter):
        own_taps = {tap: path for tap, path in tap_paths(network).items() if tap != "logits"}
        network = Adapter(network, classes, Adaptation(class_map=numbers), taps=own_taps)
    if isinstance(taps, Mapping):
        _name(network, {str(key): str(path) for key, path in taps.items()})
    return network


def _checked(settings: Mapping[str, object]) -> dict[str, object]:
    """Return a row's own settings, after checking them against the table."""
    name = str(settings.get("network", ""))
    entry = network_entry(name)
    arguments = {key: value for key, value in settings.items() if key not in COMMON}
    known = entry.settings
    for key in arguments:
        if key not in known:
            raise ConfigError(
                f"network {name}: expected one of its settings, got '{key}'; {nearest(key, known)}"
            )
    required = [key for key, each in known.items() if each.default is REQUIRED]
    for key in required:
        if key not in arguments:
            raise ConfigError(f"network {name}: expected a setting '{key}', got none; add it")
    return arguments


def _defaults(entry: Entry) -> dict[str, object]:
    return {key: setting.default for key, setting in entry.settings.items()}


def class_numbers(section: NetworkConfig) -> ClassMap | None:
    """Return the class map of a section in numbers, to build its network without its weights.

    Raises:
        CheckpointError, FileNotFoundError: it has names, and the file of weights that says them
            is broken or gone.
        ValueError: the network has no such class.
    """
    if section.class_map is None or not _has_names(section.class_map):
        return cast("ClassMap | None", section.class_map)
    checkpoint = None if section.weights is None else read_checkpoint(section.weights)
    return resolve_class_map(section.class_map, _own_names(section.network, checkpoint), ())


def _has_names(class_map: NamedClassMap) -> bool:
    lists = (entry if isinstance(entry, list | tuple) else (entry,) for entry in class_map)
    return any(isinstance(part, str) for entry in lists for part in entry)


def _own_names(name: str, checkpoint: Checkpoint | None) -> tuple[str, ...]:
    """Return the names of a network's own classes, none if nothing says them.

    A single name is the foreground's of a network of one channel.
    """
    return (checkpoint.classes or ()) if checkpoint is not None else folder_classes(name)


def _keeps_classes(arguments: Mapping[str, object]) -> bool:
    """Return whether a folder's network keeps the folder's classes."""
    return bool(arguments.get("pretrained", True)) and not arguments.get("new_head", False)


def _by_name(
    name: str,
    own_names: Sequence[str],
    class_names: Sequence[str],
    remarks: list[str],
    *,
    fine_tune: bool,
) -> ClassMap | None:
    """Return the class map that puts a folder's classes into the data's order, None for none."""
    try:
        order = match_classes(own_names, class_names)
    except ValueError as error:
        if not fine_tune:
            raise ValueError(f"network {name}: {error}") from None
        return None
    if order == tuple(range(len(own_names))):
        return None
    remarks.append(f"{name}: its classes were put into the data's order: {list(order)}")
    return order


def _notes(network: nn.Module) -> list[str]:
    """Return what there is to say of published weights, where the network has a backbone."""
    trunk = network.backbone if isinstance(network, Segmenter) else None
    return list(trunk.notes) if isinstance(trunk, Backbone) else []


def _name(network: nn.Module, taps: dict[str, str]) -> None:
    if isinstance(network, Adapter):
        network.add_taps(taps)
    else:
        set_taps(network, taps)


def _construct(
    constructor: Callable[..., nn.Module], arguments: dict[str, object], seed: int | None
) -> nn.Module:
    if seed is None:
        return constructor(**arguments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initial weights"))
        return _construct(constructor, arguments, None)
