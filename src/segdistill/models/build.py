"""From the settings of a config to a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from segdistill.catalogue import tables
from segdistill.catalogue.networks import network_entry
from segdistill.catalogue.settings import REQUIRED
from segdistill.checks import nearest
from segdistill.config import NetworkConfig
from segdistill.errors import ConfigError
from segdistill.models.foreign.adaptation import take_adaptation
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.taps import set_taps
from segdistill.models.weights import load_weights, tensor_names
from segdistill.seeding import derive

COMMON = ("network", "weights", "taps")


def build_network(
    settings: NetworkConfig | Mapping[str, object], *, classes: int, seed: int | None = None
) -> nn.Module:
    """Build the network that a config's ``teacher`` or ``student`` part describes.

    Args:
        settings: a checked section of a config, or the same as a mapping: ``network`` names
            a row of ``NETWORKS``, or a network of somebody else as in ``SOURCES``;
            ``weights`` may name a file, which is loaded strictly and makes ``pretrained``
            unnecessary; ``taps`` may map names to module paths; the rest are that row's
            settings.
        classes: number of classes.
        seed: seed of the initial weights; None draws them from torch's global generator.

    Raises:
        ConfigError: the network or a setting does not exist, or one that is required is
            missing.
        CheckpointError: the file of weights belongs to another network.
        FileNotFoundError: there is no such file.
        ValueError: the network refuses a setting, or a tap does not exist.
    """
    weights: object
    taps: object
    if isinstance(settings, NetworkConfig):
        name, arguments = settings.network, dict[str, object](settings.settings())
        weights, taps = settings.weights, settings.taps
    else:
        name, arguments = str(settings.get("network", "")), _checked(settings)
        weights, taps = settings.get("weights"), settings.get("taps")
    entry = network_entry(name)
    if weights is not None and "pretrained" in entry.settings:
        arguments["pretrained"] = False
    constructor = tables.load("segdistill.models", entry.target)
    given: dict[str, object] = {"name": name.partition(":")[2], "classes": classes}
    if "adaptation" in entry.given:
        given["adaptation"], arguments = take_adaptation(arguments)
    arguments |= {key: given[key] for key in entry.given}
    network = _construct(constructor, arguments, seed)
    if weights is not None:
        _load(network, Path(str(weights)))
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


def _load(network: nn.Module, path: Path) -> None:
    # A file that somebody else's code wrote knows nothing of the adapter around the network.
    if isinstance(network, Adapter) and not any(
        name.startswith("network.") for name in tensor_names(path)
    ):
        load_weights(network.network, path)
    else:
        load_weights(network, path)


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
