"""Networks of others: from your own code, or from a library that is installed."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from segdistill.checks import nearest
from segdistill.errors import ConfigError
from segdistill.models.adapter import Adapter


def from_import(
    name: str,
    classes: int,
    args: dict[str, object] | None = None,
    output: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    divisor: int = 1,
    class_map: tuple[int, ...] | None = None,
) -> Adapter:
    """Return what a function or class of your own code builds; see :class:`Adapter`.

    Args:
        name: ``package.module:function``.
        classes: number of classes.
        args: what the function is called with.
        output: see :class:`Adapter`.
        mean: see :class:`Adapter`; None gives the network images in [0, 1].
        std: likewise.
        divisor: see :class:`Adapter`.
        class_map: see :class:`Adapter`.

    Raises:
        ConfigError: there is no such module or function, or it builds no ``nn.Module``.
    """
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise ConfigError(
            f"network import:{name}: expected package.module:function, got no function"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"network import:{name}: expected a module {module_name}, got: {error}; install its "
            "package, or run from the folder that holds it with PYTHONPATH=."
        ) from error
    if attribute not in vars(module):
        raise ConfigError(
            f"network import:{name}: expected a function of {module_name}, got '{attribute}'; "
            f"{nearest(attribute, vars(module))}"
        )
    network = vars(module)[attribute](**(args or {}))
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"network import:{name}: expected an nn.Module, got {type(network).__name__}"
        )
    return Adapter(
        network,
        classes,
        output=output,
        mean=mean,
        std=std,
        divisor=divisor,
        class_map=class_map,
    )


def from_smp(
    name: str,
    classes: int,
    args: dict[str, object] | None = None,
    pretrained: bool = False,
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
    std: tuple[float, float, float] = (0.229, 0.224, 0.225),
    divisor: int = 32,
    class_map: tuple[int, ...] | None = None,
) -> Adapter:
    """Return a network of segmentation-models-pytorch; see :class:`Adapter`.

    Args:
        name: of the architecture, such as ``unet`` or ``upernet``.
        classes: number of classes.
        args: of its constructor, such as ``encoder_name``.
        pretrained: load ImageNet weights into the encoder (downloads them).
        mean: see :class:`Adapter`; ImageNet's by default.
        std: likewise.
        divisor: see :class:`Adapter`.
        class_map: see :class:`Adapter`; the network is then built with as many classes as
            the map needs, or with ``args.classes``.

    Raises:
        ConfigError: the library is not installed or has no such architecture.
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
        "classes": classes if class_map is None else max(class_map) + 1,
        **(args or {}),
    }
    network = smp.create_model(name.lower(), **settings)
    taps = {"backbone": "encoder", "head": "decoder"}
    return Adapter(
        network, classes, mean=mean, std=std, divisor=divisor, class_map=class_map, taps=taps
    )


def from_torchvision(
    name: str,
    classes: int,
    args: dict[str, object] | None = None,
    pretrained: bool = False,
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
    std: tuple[float, float, float] = (0.229, 0.224, 0.225),
    class_map: tuple[int, ...] | None = None,
) -> Adapter:
    """Return a segmentation network of torchvision; see :class:`Adapter`.

    Args:
        name: such as ``deeplabv3_resnet50``.
        classes: number of classes.
        args: of its constructor, such as ``aux_loss``.
        pretrained: load ImageNet weights into the backbone (downloads them).
        mean: see :class:`Adapter`; ImageNet's by default.
        std: likewise.
        class_map: see :class:`Adapter`; the network is then built with as many classes as
            the map needs, or with ``args.num_classes``.

    Raises:
        ConfigError: torchvision has no such network.
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
        "num_classes": classes if class_map is None else max(class_map) + 1,
        **(args or {}),
    }
    network = models.get_model(name, **settings)
    taps = {"backbone": "backbone"}
    if isinstance(network.classifier, nn.Sequential):
        taps["head"] = f"classifier.{len(network.classifier) - 2}"
    return Adapter(network, classes, mean=mean, std=std, class_map=class_map, taps=taps)


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
