"""From the settings of a config to a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from segdistill.catalogue import tables
from segdistill.catalogue.networks import network_entry
from segdistill.catalogue.settings import REQUIRED
from segdistill.checks import nearest
from segdistill.config import NetworkConfig
from segdistill.errors import ConfigError
from segdistill.models.backbone import Backbone
from segdistill.models.checkpoints.backbones import fill_backbone
from segdistill.models.checkpoints.knowledge import Request, load_network
from segdistill.models.checkpoints.reading import read_checkpoint
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.segmenter import Segmenter
from segdistill.models.taps import set_taps
from segdistill.seeding import derive

COMMON = ("network", "weights", "backbone_weights", "taps")


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
            to module paths; the rest are that row's settings.
        classes: number of classes.
        seed: seed of the initial weights; None draws them from torch's global generator.
        class_names: of the data; a file that says its own is put into their order by name.
        fine_tune: where the file has other classes, its classifier is not taken but starts
            anew. False refuses such a file.
        tell: called with each sentence on what was stripped, skipped and left out.

    Raises:
        ConfigError: the network or a setting does not exist, or one that is required is
            missing.
        CheckpointError: the file of weights belongs to another network, or to other classes.
        FileNotFoundError: there is no such file.
        ValueError: the network refuses a setting, or a tap does not exist.
    """
    weights: object
    backbone_weights: object
    taps: object
    if isinstance(settings, NetworkConfig):
        name, arguments = settings.network, dict[str, object](settings.settings())
        weights, taps = settings.weights, settings.taps
        backbone_weights = settings.backbone_weights
    else:
        name, arguments = str(settings.get("network", "")), _checked(settings)
        weights, taps = settings.get("weights"), settings.get("taps")
        backbone_weights = settings.get("backbone_weights")
    entry = network_entry(name)
    unread = weights is None and backbone_weights is None
    if not unread and "pretrained" in entry.settings:
        arguments["pretrained"] = False
    constructor = tables.load("segdistill.models", entry.target)
    given: dict[str, object] = {"name": name.partition(":")[2], "classes": classes}
    arguments |= {key: given[key] for key in entry.given}
    network = _construct(constructor, arguments, seed)
    said = _notes(network)
    if weights is not None:

        def rebuild(other: int) -> nn.Module:
            return _construct(constructor, arguments | {"classes": other}, 0)

        defaults = {key: setting.default for key, setting in entry.settings.items()}
        request = Request(
            settings={"network": name, **defaults, **arguments},
            classes=classes,
            class_names=tuple(class_names),
            fine_tune=fine_tune,
            rebuild=rebuild,
        )
        said += load_network(network, read_checkpoint(str(weights)), request)
    elif backbone_weights is not None:
        said += fill_backbone(network, read_checkpoint(str(backbone_weights)), name).sentences()
    for sentence in said:
        if tell is not None:
            tell(sentence)
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
