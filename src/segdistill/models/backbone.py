"""Backbones: timm's networks, dilated to the stride that was asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from timm.layers import Format, PatchEmbed
from timm.models import efficientnet
from torch import Tensor, nn

from segdistill.checks import nearest
from segdistill.config.mistakes import shown
from segdistill.errors import is_of_machine
from segdistill.models.checkpoints.loading import load_fitting, shapes
from segdistill.models.checkpoints.pretrained import (
    forget_state,
    published_neighbour,
    timm_arguments,
    timm_file,
)
from segdistill.models.checkpoints.reading import Checkpoint, read_checkpoint
from segdistill.models.heads.head import FeatureInfo
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.padding import cut, needed_divisor, pad


@dataclass(frozen=True)
class Variant:
    """A backbone that timm can build but does not name.

    Attributes:
        base: the timm name it starts from.
        arguments: of ``timm.create_model``, where they differ from those of the base.
        multiplier: of the width of a MobileNetV2.
        ceil_pooling: round the size up, not down, in the pooling of a ResNet's stem, so that
            a 512x1024 image gives maps of 65x129 and not 64x128.
    """

    base: str
    arguments: Mapping[str, Any] | None = None
    multiplier: float | None = None
    ceil_pooling: bool = False


_STRIDES = (4, 8, 16, 32)

# Three 3x3 convolutions (64, 64, 128) instead of one 7x7: the stem of PSPNet's code, and of
# the public code of SKD and CIRKD.
_DEEP = {"stem_type": "deep", "stem_width": 64}
_HALF = {"channels": (32, 64, 128, 256)}
_HALF_DEEP = {"stem_type": "deep", "stem_width": 32, **_HALF}

VARIANTS: dict[str, Variant] = {
    "resnet18_deep": Variant("resnet18", _DEEP),
    "resnet50_deep": Variant("resnet50", _DEEP),
    "resnet101_deep": Variant("resnet101", _DEEP),
    "resnet18_half": Variant("resnet18", _HALF),
    "resnet18_half_deep": Variant("resnet18", _HALF_DEEP),
    # Knowledge adaptation, Table 2.
    "mobilenetv2_130": Variant("mobilenetv2_100", multiplier=1.3),
    # As SKD's public code has them (irfanICMLL/structure_knowledge_distillation).
    "resnet18_deep_ceil": Variant("resnet18", _DEEP, ceil_pooling=True),
    "resnet101_deep_ceil": Variant("resnet101", _DEEP, ceil_pooling=True),
    "resnet18_half_deep_ceil": Variant("resnet18", _HALF_DEEP, ceil_pooling=True),
}


class Trunk(nn.Module, ABC):
    """A module from normalised images to maps, shallowest first.

    Attributes:
        features: width and stride of each map.
        mean: of the normalisation that the weights expect, RGB in [0, 1].
        std: standard deviation in the same scale.
    """

    features: tuple[FeatureInfo, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps."""


class Backbone(Trunk):
    """A timm network that returns the last map of each of its stages, shallowest first.

    Images of a size that the network does not take are padded with zeros, which is the mean
    colour, and the maps are cut again.

    Args:
        name: a timm name, or a key of ``VARIANTS``.
        output_stride: stride of the last map: 4, 8, 16 or 32; below 32 the last stages are
            dilated instead of strided. timm dilates few families to 4.
        pretrained: load ImageNet weights by timm's name (downloads them if they are not in
            the cache of the Hugging Face hub). A key of ``VARIANTS`` that differs in its stem
            alone takes what fits by name from the network that it varies.

    Attributes:
        notes: what a user should know of the weights.

    Raises:
        ValueError: timm has no such backbone, it cannot return maps or not at that stride, or
            there are no weights to load; in the forward pass: images of that size do not fit.
    """

    def __init__(self, name: str, output_stride: int = 16, pretrained: bool = False) -> None:
        super().__init__()
        _check(name, output_stride)
        variant = VARIANTS.get(name, Variant(name))
        self.name = name
        self.notes: list[str] = []
        if pretrained and name in VARIANTS:
            state = _published_weights(name, variant)
            self.body = _create(name, variant, output_stride, {})
            self.notes.append(_fill(self.body, name, variant, state))
        else:
            weights = timm_arguments(name) if pretrained else {}
            self.body = _create(name, variant, output_stride, weights)
        info: Any = self.body.feature_info
        self.features = tuple(
            FeatureInfo(channels, stride)
            for channels, stride in zip(info.channels(), info.reduction(), strict=True)
        )
        stride = self.features[-1].stride
        if stride != output_stride:
            remedy = f"set output_stride={stride} or choose" if stride in _STRIDES else "choose"
            families = "MobileNet or EfficientNet"
            families = families if output_stride == 4 else f"ResNet, ConvNeXt, {families}"
            raise ValueError(
                f"Backbone {name}: expected a last map of stride {output_stride}, got one of "
                f"stride {stride}, which timm cannot change; {remedy} a {families}"
            )
        self.channels_last_axis = getattr(self.body, "output_fmt", None) == Format.NHWC
        config = timm.get_pretrained_cfg(variant.base, allow_unregistered=True)
        self.mean = tuple(config.mean) if config else IMAGENET_MEAN
        self.std = tuple(config.std) if config else IMAGENET_STD
        fixed = config is not None and config.fixed_input_size and not any_size(variant.base)
        self.only_size = tuple(config.input_size[1:]) if fixed else None
        # Where torch's meta device cannot tell, as of a network that reads values, a patch's side.
        self.divisor = needed_divisor(self.body, stride=stride, fits=self._fits) or stride

    def forward(self, images: Tensor) -> list[Tensor]:
        size = (images.shape[2], images.shape[3])
        images = pad(images, self.divisor)
        padded = (images.shape[2], images.shape[3])
        try:
            maps: list[Tensor] = self.body(images)
        except (AssertionError, IndexError, RuntimeError) as error:
            # A subclass means something else.
            known = type(error) in (AssertionError, IndexError, RuntimeError)
            if not known or is_of_machine(error):
                raise
            answer = "use another crop or another backbone"
            if self.only_size is not None:
                only = list(self.only_size)
                answer = (
                    f"timm builds it for one size: set data.crop={only} and evaluation.window="
                    f"{only}, or use another backbone"
                )
            raise ValueError(
                f"Backbone {self.name}: expected images of a size that it can take, got "
                f"{size}: {error}; {answer}"
            ) from error
        if self.channels_last_axis:
            maps = [channels_last.permute(0, 3, 1, 2) for channels_last in maps]
        return [cut(map_, size, padded) for map_ in maps] if self.divisor > 1 else list(maps)

    def _fits(self, maps: list[Tensor]) -> bool:
        """Return whether maps have the channels that they should: some mix them up with rows."""
        axis = 3 if self.channels_last_axis else 1
        return [map_.shape[axis] for map_ in maps] == [info.channels for info in self.features]


def backbone_names() -> list[str]:
    """Return every backbone name: ours, then timm's."""
    return [*VARIANTS, *timm.list_models()]


@cache
def any_size(name: str) -> tuple[tuple[str, bool], ...]:
    """Return the keywords that make a timm network take images of any size.

    Swin and ViT insist on the image size of their training unless told otherwise, each family by
    a keyword of its own.

    Args:
        name: a timm name.

    Returns:
        Keywords for ``timm.create_model``, empty if none is needed or known.
    """
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None or not config.fixed_input_size:
        return ()
    for setting in (("strict_img_size", False), ("dynamic_img_size", True)):
        try:
            with torch.device("meta"):
                timm.create_model(name, features_only=True, **dict([setting]))
        except TypeError:
            continue
        return (setting,)
    return ()


def published_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the whole network that a backbone is cut from, in layers' order.

    Args:
        name: a timm name, or a key of ``VARIANTS``.
    """
    with torch.device("meta"):
        return shapes(whole_network(name))


def whole_network(name: str) -> nn.Module:
    """Return the network that a backbone is cut from, with random weights.

    Args:
        name: a timm name, or a key of ``VARIANTS``.
    """
    variant = VARIANTS.get(name, Variant(name))
    return _build(variant, variant.arguments or {})


def _check(name: str, output_stride: int) -> None:
    if name not in VARIANTS and not timm.is_model(name):
        raise ValueError(
            f"Backbone: expected a timm backbone, got {shown(name)}; "
            f"{_suggest(name)} (segdistill list backbones)"
        )
    if output_stride not in _STRIDES:
        raise ValueError(
            f"Backbone {name}: expected output_stride 4, 8, 16 or 32, got {output_stride}; choose "
            "one of them"
        )


def _suggest(name: str) -> str:
    answer = nearest(name, backbone_names())
    return answer if answer.startswith("did") else "give the name of a timm network"


def _published_weights(name: str, variant: Variant) -> Checkpoint:
    """Return the weights of the network that a variant differs from in its stem alone."""
    if variant.multiplier is not None or "channels" in (variant.arguments or {}):
        raise ValueError(
            f"Backbone {name}: expected published ImageNet weights for pretrained=true, got a "
            f"width that nobody published any for; the nearest is {published_neighbour(name)}: "
            "name that, or give a file under backbone_weights, or set pretrained=false"
        )
    file = timm_file(variant.base)
    if file is None:
        whole = timm.create_model(variant.base, pretrained=True)
        return Checkpoint(variant.base, {"": whole.state_dict()})
    return read_checkpoint(file)


def _fill(body: nn.Module, name: str, variant: Variant, checkpoint: Checkpoint) -> str:
    names = {each: each for each in body.state_dict()}
    count, rest = load_fitting(body, checkpoint, names=names)
    return (
        f"backbone {name}: {count} tensors are the ImageNet weights of {variant.base}; nobody "
        f"published others for its {', '.join(rest)}, which are initialised at random"
    )


def _create(
    name: str, variant: Variant, output_stride: int, weights: Mapping[str, Any]
) -> nn.Module:
    arguments: dict[str, Any] = {"features_only": True, **weights}
    arguments |= {**dict(any_size(variant.base)), **(variant.arguments or {})}
    dilation = {} if output_stride == 32 else {"output_stride": output_stride}
    try:
        try:
            body = _build(variant, arguments | dilation)
        except (TypeError, AssertionError, NotImplementedError):
            # A network that cannot be dilated may have that stride already, as ViT has 16.
            body = _build(variant, arguments)
    except (RuntimeError, OSError) as error:
        if not weights:
            raise ValueError(
                f"Backbone {name}: expected a network with feature maps, timm says: {error}"
            ) from error
        raise ValueError(
            f"Backbone {name}: expected ImageNet weights of timm, got: {error}; connect once "
            "to fetch them, give a local file under backbone_weights, or set pretrained=false"
        ) from error
    if variant.ceil_pooling:
        body.get_submodule("maxpool").ceil_mode = True  # type: ignore[assignment]
    for module in body.modules():
        if isinstance(module, PatchEmbed):
            module.dynamic_img_pad = True
    forget_state(body)
    return body


def _build(variant: Variant, arguments: Mapping[str, Any]) -> nn.Module:
    if variant.multiplier is not None:
        # timm's named networks do not take another width.
        scaled: nn.Module = efficientnet._gen_mobilenet_v2(
            variant.base, variant.multiplier, **arguments
        )
        return scaled
    body: nn.Module = timm.create_model(variant.base, **arguments)
    return body
