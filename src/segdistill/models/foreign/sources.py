"""Networks of others: from your own code, or from a library that is installed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from segdistill.checks import nearest
from segdistill.classes import least_classes
from segdistill.errors import ConfigError
from segdistill.models.backbone import any_size, backbone_names
from segdistill.models.checkpoints.pretrained import (
    forget_state,
    hub_file,
    timm_arguments,
    url_file,
)
from segdistill.models.foreign.adaptation import Adaptation
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.own_code import import_own


def from_import(
    name: str,
    classes: int,
    adaptation: Adaptation,
    args: dict[str, object] | None = None,
) -> Adapter:
    """Return what a function or class of your own code builds; see :class:`Adapter`.

    Args:
        name: ``package.module:function``.
        classes: number of classes.
        adaptation: how it is fed; without a mean it gets images in [0, 1].
        args: what the function is called with.

    Raises:
        ConfigError: there is no such module or function, it does not take ``args``, or it
            builds no ``nn.Module``.
    """
    function, attribute = import_own(name, "network"), name.partition(":")[2]
    try:
        _bind(function, args or {})
    except TypeError as error:
        raise ConfigError(
            f"network import:{name}: expected args that {attribute} takes, got "
            f"{', '.join(args or {}) or 'none'}: {error}; set args"
        ) from error
    network = function(**(args or {}))
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"network import:{name}: expected an nn.Module, got {type(network).__name__}; name "
            "the function or class that builds it"
        )
    return Adapter(network, classes, adaptation)


def _bind(function: Callable[..., object], args: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of something compiled
        return
    signature.bind(**args)


def from_smp(
    name: str,
    classes: int,
    adaptation: Adaptation,
    args: dict[str, object] | None = None,
    pretrained: bool = False,
) -> Adapter:
    """Return a network of segmentation-models-pytorch; see :class:`Adapter`.

    Args:
        name: of the architecture, such as ``unet`` or ``upernet``.
        classes: number of classes.
        adaptation: how it is fed: ImageNet's normalisation and a divisor of 32 where it gives
            none. With a class map the network is built with as many classes as the map needs,
            or with ``args.classes``.
        args: of its constructor, such as ``encoder_name``.
        pretrained: load ImageNet weights into the encoder (downloads them).

    An encoder of timm, ``tu-`` before its name, takes images of any size here, Swin too.

    Raises:
        ConfigError: the library is not installed, has no such architecture or encoder, or
            does not take ``args``.
    """
    smp = library("segmentation_models_pytorch", "segmentation-models-pytorch", f"smp:{name}")
    known = smp.MODEL_ARCHITECTURES_MAPPING
    if name.lower() not in known:
        raise ConfigError(
            f"network smp:{name}: expected an architecture of segmentation-models-pytorch; "
            f"{nearest(name.lower(), known)}"
        )
    settings: dict[str, object] = {
        "encoder_weights": "imagenet" if pretrained else None,
        "classes": _own_classes(adaptation, classes),
        **(args or {}),
    }
    network = _smp_network(smp, name.lower(), settings)
    taps = {"backbone": "encoder", "head": "decoder"}
    return Adapter(network, classes, with_imagenet(adaptation, divisor=32), taps=taps)


def _smp_network(smp: Any, name: str, settings: dict[str, object]) -> nn.Module:
    """Build a network of the library, which answers a wrong encoder or key badly or not at all."""
    architecture = smp.MODEL_ARCHITECTURES_MAPPING[name]
    parameters = inspect.signature(architecture).parameters
    encoder = str(settings.get("encoder_name", parameters["encoder_name"].default))
    prefix = "tu-" if encoder.startswith("tu-") else ""
    # A timm name may have a tag of its weights behind a dot.
    bare = encoder.removeprefix("tu-").partition(".")[0] if prefix else encoder
    known = backbone_names() if prefix else smp.encoders.get_encoder_names()
    if bare not in known:
        answer = nearest(bare, known)
        answer = answer.replace("'", f"'{prefix}", 1) if answer.startswith("did") else "see timm's"
        raise ConfigError(
            f"network smp:{name}: expected an encoder_name of segmentation-models-pytorch, or of "
            f"timm behind 'tu-', got '{encoder}'; {answer} (segdistill list backbones)"
        )
    # timm unpickles the files that these name; segdistill reads weights as tensors alone.
    for key in settings.keys() & {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}:
        raise ConfigError(
            f"network smp:{name}: expected args without {key}, with which timm reads a file that "
            "may hold code; name tensors under weights"
        )
    if prefix:
        settings = {**dict(any_size(bare)), **settings}
        if settings["encoder_weights"] == "imagenet":  # a flag for these
            published = timm_arguments(encoder.removeprefix("tu-"))
            settings["encoder_weights"] = published.pop("pretrained")
            settings |= published
    else:
        _check_keys(f"smp:{name}", settings, parameters.values())
        _check_encoder_weights(smp, name, encoder, settings["encoder_weights"])
    try:
        network: nn.Module = architecture(**settings)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(
            f"network smp:{name}: expected args that segmentation-models-pytorch can build, it "
            f"answers: {str(error).rstrip('.')}; change args"
        ) from error
    forget_state(network)
    return network


def _check_encoder_weights(smp: Any, name: str, encoder: str, weights: object) -> None:
    """Refuse at once what the library would try to fetch for a minute."""
    known = smp.encoders.encoders[encoder].get("pretrained_settings") or {}
    source = known.get(weights)
    if source and "repo_id" in source:
        owner = f"network smp:{name}, encoder {encoder}"
        hub_file(source["repo_id"], ("model.safetensors",), owner, source.get("revision"))


def _check_keys(
    name: str, settings: Mapping[str, object], parameters: Iterable[inspect.Parameter]
) -> None:
    """Refuse keys that a constructor would swallow and forget."""
    known = [each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD]
    for key in settings:
        if key not in known:
            raise ConfigError(
                f"network {name}: expected args of its constructor, got '{key}'; "
                f"{nearest(key, known)}"
            )


def from_torchvision(
    name: str,
    classes: int,
    adaptation: Adaptation,
    args: dict[str, object] | None = None,
    pretrained: bool = False,
) -> Adapter:
    """Return a segmentation network of torchvision; see :class:`Adapter`.

    Args:
        name: such as ``deeplabv3_resnet50``.
        classes: number of classes.
        adaptation: how it is fed: ImageNet's normalisation where it gives none. With a class
            map the network is built with as many classes as the map needs, or with
            ``args.num_classes``.
        args: of its constructor, such as ``aux_loss``.
        pretrained: load ImageNet weights into the backbone (downloads them).

    Raises:
        ConfigError: torchvision has no such network, or it does not take ``args``.
    """
    from torchvision import models

    known = models.list_models(module=models.segmentation)
    if name not in known:
        raise ConfigError(
            f"network torchvision:{name}: expected a segmentation network of torchvision; "
            f"{nearest(name, known)}"
        )
    settings: dict[str, object] = {
        "weights": None,
        "weights_backbone": "DEFAULT" if pretrained else None,
        "num_classes": _own_classes(adaptation, classes),
        **(args or {}),
    }
    builder: Callable[..., nn.Module] = models.get_model_builder(name)
    _check_keys(f"torchvision:{name}", settings, inspect.signature(builder).parameters.values())
    if settings["weights_backbone"] == "DEFAULT":
        default = inspect.signature(builder).parameters["weights_backbone"].default
        url_file(type(default).DEFAULT.url, f"network torchvision:{name}")
    network: Any = builder(**settings)
    taps = {"backbone": "backbone"}
    if isinstance(network.classifier, nn.Sequential):
        taps["head"] = f"classifier.{len(network.classifier) - 2}"
    return Adapter(network, classes, with_imagenet(adaptation), taps=taps)


def _own_classes(adaptation: Adaptation, classes: int) -> int:
    """Return how many classes a network is built with: those that the class map needs."""
    return classes if adaptation.class_map is None else least_classes(adaptation.class_map)


def with_imagenet(adaptation: Adaptation, *, divisor: int = 1) -> Adaptation:
    """Fill in ImageNet's normalisation, and a divisor, where an adaptation gives none."""
    if adaptation.divisor is None:
        adaptation = replace(adaptation, divisor=divisor)
    if adaptation.mean is None:
        adaptation = replace(adaptation, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return adaptation


def library(module: str, package: str, name: str) -> Any:
    """Import an optional package.

    Args:
        module: what is imported.
        package: what pip calls it.
        name: of the network that needs it, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"network {name}: expected the package {package}, which is not installed; "
            f"pip install {package}"
        ) from error
