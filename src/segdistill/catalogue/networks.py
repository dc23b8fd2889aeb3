"""The networks: backbone and head, whole networks, and sources of others."""

from __future__ import annotations

from segdistill.catalogue.tables import Entry
from segdistill.checks import nearest
from segdistill.errors import ConfigError

NETWORKS: dict[str, Entry] = {
    "deeplabv3": Entry(
        "networks.deeplabv3:deeplabv3",
        "DeepLabV3: several dilations and an image feature on any backbone.",
        ("classes",),
    ),
    "reduced_deeplabv3": Entry(
        "networks.reduced_deeplabv3:reduced_deeplabv3",
        "DeepLabV3 without dilated branches, the light form of the MobileNetV2 paper.",
        ("classes",),
    ),
    "pspnet": Entry(
        "networks.pspnet:pspnet",
        "PSPNet: averages over grids of several coarseness on any backbone.",
        ("classes",),
    ),
    "fcn": Entry(
        "networks.fcn:fcn",
        "A fully convolutional network: plain 3x3 convolutions on any backbone.",
        ("classes",),
    ),
    "lraspp": Entry(
        "networks.lraspp:lraspp",
        "LR-ASPP: the light head of MobileNetV3 on any backbone.",
        ("classes",),
    ),
    "espnet_c": Entry(
        "networks.espnet_c:EspNetC",
        "ESPNet-C: thin dilated convolutions, logits at stride 8; from scratch.",
        ("classes",),
    ),
    "espnet": Entry(
        "networks.espnet:EspNet",
        "ESPNet: ESPNet-C with a light decoder to the image's size; from scratch.",
        ("classes",),
    ),
    "mobilenetv2plus": Entry(
        "networks.mobilenetv2plus:mobilenetv2plus",
        "MobileNetV2Plus: every stage of a dilated MobileNetV2, ASPP and a shallow skip.",
        ("classes",),
    ),
}

HEADS: dict[str, Entry] = {
    "fcn": Entry(
        "heads.fcn:FullyConvolutional", "3x3 convolutions on the last map.", ("features",)
    ),
    "aspp": Entry(
        "heads.aspp:AtrousPyramid",
        "Several dilations and an image feature (DeepLabV3).",
        ("features",),
    ),
    "psp": Entry(
        "heads.psp:PyramidPooling",
        "Averages over grids of several coarseness (PSPNet).",
        ("features",),
    ),
    "lraspp": Entry(
        "heads.lraspp:LiteAtrousPyramid",
        "A gated deep map beside a shallow one (MobileNetV3).",
        ("features",),
    ),
}


_BOTH = ("name", "classes")
SOURCES: dict[str, Entry] = {
    "import": Entry(
        "foreign.sources:from_import",
        "Your own code: import:package.module:function with args.",
        _BOTH,
    ),
    "smp": Entry(
        "foreign.sources:from_smp",
        "segmentation-models-pytorch: smp:unet, smp:upernet and so on.",
        _BOTH,
    ),
    "torchvision": Entry(
        "foreign.sources:from_torchvision",
        "torchvision: torchvision:deeplabv3_resnet50 and so on.",
        _BOTH,
    ),
    "hf": Entry(
        "foreign.huggingface:from_huggingface",
        "A Hugging Face folder on this machine: hf:FOLDER.",
        _BOTH,
    ),
    "file": Entry(
        "foreign.program:from_file",
        "A TorchScript or torch.export file, as teacher: file:PATH.",
        _BOTH,
    ),
}
"""Networks of others, by what stands before the colon of their name."""


def network_entry(name: str) -> Entry:
    """Return the row of ``NETWORKS`` or ``SOURCES`` that a config names.

    Raises:
        ConfigError: there is none; the message names the nearest.
    """
    prefix, colon, _ = name.partition(":")
    if colon and prefix in SOURCES:
        return SOURCES[prefix]
    if name not in NETWORKS:
        known = [*NETWORKS, *(f"{source}:" for source in SOURCES)]
        raise ConfigError(
            f"network: expected a known network, got '{name}'; {nearest(name, known)}"
        )
    return NETWORKS[name]
