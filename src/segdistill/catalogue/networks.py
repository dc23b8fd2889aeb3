"""The networks: heads on backbones, complete networks, and sources of foreign ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from segdistill.catalogue.settings import REQUIRED, Setting
from segdistill.catalogue.tables import Entry
from segdistill.checks import nearest
from segdistill.errors import ConfigError

_SEPARABLE = Setting(
    bool, False, "make the head's 3x3 convolutions depthwise-separable: fewer weights"
)


def _width(default: int | None, what: str, source: str) -> Setting:
    kind = int if default is not None else int | None
    return Setting(kind, default, what, at_least=1, unit="channels", source=source)


_RATES = Setting(
    tuple[int, ...] | None,
    None,
    "dilation rates of the 3x3 branches; null: 6, 12, 18 at output stride 16, scaled inversely at "
    "others (12, 24, 36 at 8); []: no such branches",
    at_least=1,
    source="Chen et al. 2017, Sec. 3.3",
)

HEADS: dict[str, Entry] = {
    "fcn": Entry(
        target="heads.fcn:FullyConvolutional",
        about="3x3 convolutions on the last map.",
        settings={
            "width": _width(
                None,
                "width of the head's map; null: a quarter of the backbone's last map",
                "torchvision",
            ),
            "convolutions": Setting(int, 1, "number of consecutive 3x3 convolutions", at_least=1),
            "separable": _SEPARABLE,
        },
        given=("features",),
    ),
    "aspp": Entry(
        target="heads.aspp:AtrousPyramid",
        about="Parallel dilated convolutions and image pooling (DeepLabV3).",
        settings={
            "width": _width(
                256, "width of each branch and of the head's output", "Chen et al. 2017, Sec. 3.3"
            ),
            "rates": _RATES,
            "separable": _SEPARABLE,
            "refine": Setting(
                bool,
                False,
                "add a 3x3 convolution after the branches, as torchvision and CIRKD do but the "
                "paper does not",
            ),
        },
        given=("features",),
    ),
    "aspp_decoder": Entry(
        target="heads.aspp_decoder:AtrousDecoder",
        about="DeepLabV3's head with a decoder that adds a shallow map (DeepLabV3+).",
        settings={
            "width": _width(
                256, "width of each branch and of the head's output", "Chen et al. 2017, Sec. 3.3"
            ),
            "rates": _RATES,
            "shallow_width": _width(
                48, "width to which the shallow map is reduced", "Chen et al., ECCV 2018, Sec. 4.1"
            ),
            "separable": _SEPARABLE,
        },
        given=("features",),
    ),
    "psp": Entry(
        target="heads.psp:PyramidPooling",
        about="Pooling over grids of several sizes (PSPNet).",
        settings={
            "width": _width(512, "width of the head's map", "Zhao et al., CVPR 2017"),
            "bins": Setting(
                tuple[int, ...],
                (1, 2, 3, 6),
                "cells per side of each pooling grid",
                at_least=1,
                source="Zhao et al., CVPR 2017",
            ),
            "branch_width": _width(
                None,
                "width of each grid's branch; null: the last map's width over the number of grids",
                "Zhao et al., CVPR 2017",
            ),
            "separable": _SEPARABLE,
        },
        given=("features",),
    ),
    "lraspp": Entry(
        target="heads.lraspp:LiteAtrousPyramid",
        about="A gated deep map added to a shallow one (LR-ASPP of MobileNetV3).",
        settings={"width": _width(128, "width of the deep branch", "Howard et al., ICCV 2019")},
        given=("features",),
    ),
    "fpn": Entry(
        target="heads.fpn:FeaturePyramid",
        about="A feature pyramid whose maps are added at stride 4 (Panoptic FPN).",
        settings={
            "pyramid": _width(256, "width of the pyramid's maps", "Kirillov et al., CVPR 2019"),
            "width": _width(
                128,
                "width of the upsampling branches and of the head's output",
                "Kirillov et al., CVPR 2019",
            ),
            "smooth": Setting(
                bool,
                True,
                "filter each map of the pyramid with a 3x3 convolution, as in the paper; false: a "
                "lighter head without them",
                source="Lin et al., CVPR 2017",
            ),
            "separable": _SEPARABLE,
        },
        given=("features",),
    ),
    "uper": Entry(
        target="heads.uper:UnifiedPerceptual",
        about="Pyramid pooling and a feature pyramid, fused at stride 4 (UPerNet).",
        settings={
            "width": _width(512, "width of every map in the head", "Xiao et al., ECCV 2018"),
            "bins": Setting(
                tuple[int, ...],
                (1, 2, 3, 6),
                "cells per side of each pooling grid on the last map",
                at_least=1,
                source="Xiao et al., ECCV 2018",
            ),
            "separable": _SEPARABLE,
        },
        given=("features",),
    ),
    "segformer_mlp": Entry(
        target="heads.segformer_mlp:AllMlp",
        about="One linear layer per map, fused at stride 4 (SegFormer).",
        settings={
            "width": _width(256, "width of every map in the head", "Xie et al., NeurIPS 2021")
        },
        given=("features",),
    ),
}

_PRETRAINED = Setting(
    bool,
    False,
    "initialise the backbone with timm's ImageNet weights (downloaded unless cached); the key "
    "weights takes precedence",
)


def _on_backbone(
    backbone: str, output_stride: int, head: Mapping[str, Setting], dropout: float = 0.1
) -> dict[str, Setting]:
    """Return the settings of a network that puts a head on any backbone."""
    return {
        "backbone": Setting(str, backbone, "backbone, one of segdistill list backbones"),
        "output_stride": Setting(
            Literal[4, 8, 16, 32],
            output_stride,
            "stride of the backbone's last map; smaller is finer and slower; 4 works only for "
            "families such as MobileNet and EfficientNet",
            unit="px",
        ),
        **head,
        "dropout": Setting(
            float,
            dropout,
            "dropout rate before the classifier during training",
            at_least=0.0,
            below=1.0,
        ),
        "auxiliary": Setting(
            bool,
            False,
            "train a second classifier on the last stage but one; the saved student lacks it",
        ),
        "auxiliary_width": _width(
            None,
            "width of the auxiliary head; null: a quarter of the width of its stage",
            "torchvision",
        ),
        "pretrained": _PRETRAINED,
    }


def _variant(names: Any, default: str, what: str) -> Setting:
    return Setting(names, default, f"size of the network; {what}")


def _dropout(default: float, source: str = "") -> Setting:
    return Setting(
        float,
        default,
        "dropout rate before the classifier during training",
        at_least=0.0,
        below=1.0,
        source=source,
    )


def _train_only(where: str) -> Setting:
    return Setting(
        bool,
        True,
        f"train a second classifier on {where}; the saved student lacks it",
    )


_REPEATS = Setting(
    tuple[int, int],
    (2, 8),
    "number of ESP modules in the second and in the third level",
    at_least=0,
    source="Mehta et al., ECCV 2018",
)
_CLASSES = ("classes",)

NETWORKS: dict[str, Entry] = {
    "deeplabv3": Entry(
        target="networks.deeplabv3:deeplabv3",
        about="DeepLabV3: parallel dilated convolutions and image pooling on any backbone.",
        settings=_on_backbone("resnet101", 16, HEADS["aspp"].settings),
        given=_CLASSES,
    ),
    "deeplabv3plus": Entry(
        target="networks.deeplabv3plus:deeplabv3plus",
        about="DeepLabV3+: DeepLabV3 with a decoder that adds a shallow map, stride 4.",
        settings=_on_backbone(
            "resnet101",
            16,
            {
                **HEADS["aspp_decoder"].settings,
                "separable": Setting(
                    bool,
                    True,
                    "make the head's 3x3 convolutions depthwise-separable: fewer weights",
                    source="Chen et al., ECCV 2018, Sec. 4.3",
                ),
            },
        ),
        given=_CLASSES,
    ),
    "reduced_deeplabv3": Entry(
        target="networks.reduced_deeplabv3:reduced_deeplabv3",
        about="DeepLabV3 without dilated branches, the light form of the MobileNetV2 paper.",
        settings=_on_backbone("mobilenetv2_100", 16, {"width": HEADS["aspp"].settings["width"]}),
        given=_CLASSES,
    ),
    "pspnet": Entry(
        target="networks.pspnet:pspnet",
        about="PSPNet: pooling over grids of several sizes on any backbone.",
        settings=_on_backbone("resnet101", 8, HEADS["psp"].settings),
        given=_CLASSES,
    ),
    "fcn": Entry(
        target="networks.fcn:fcn",
        about="A fully convolutional network: plain 3x3 convolutions on any backbone.",
        settings=_on_backbone("resnet50", 8, HEADS["fcn"].settings),
        given=_CLASSES,
    ),
    "lraspp": Entry(
        target="networks.lraspp:lraspp",
        about="LR-ASPP: the light head of MobileNetV3 on any backbone.",
        settings=_on_backbone("mobilenetv3_large_100", 16, HEADS["lraspp"].settings, dropout=0.0),
        given=_CLASSES,
    ),
    "espnet_c": Entry(
        target="networks.espnet_c:EspNetC",
        about="ESPNet-C: thin dilated convolutions, logits at stride 8; from scratch.",
        settings={"repeats": _REPEATS},
        given=_CLASSES,
    ),
    "espnet": Entry(
        target="networks.espnet:EspNet",
        about="ESPNet: ESPNet-C with a light decoder to the image's size; from scratch.",
        settings={"repeats": _REPEATS},
        given=_CLASSES,
    ),
    "mobilenetv2plus": Entry(
        target="networks.mobilenetv2plus:mobilenetv2plus",
        about="MobileNetV2Plus: every stage of a dilated MobileNetV2, ASPP and a shallow skip.",
        settings={"pretrained": _PRETRAINED},
        given=_CLASSES,
    ),
    "fpn": Entry(
        target="networks.fpn:fpn",
        about="Semantic FPN: a feature pyramid on any backbone, logits at stride 4.",
        settings=_on_backbone("resnet50", 32, HEADS["fpn"].settings),
        given=_CLASSES,
    ),
    "upernet": Entry(
        target="networks.upernet:upernet",
        about="UPerNet: pyramid pooling and a feature pyramid on any backbone, stride 4.",
        settings=_on_backbone("convnext_tiny", 32, HEADS["uper"].settings),
        given=_CLASSES,
    ),
    "segformer": Entry(
        target="networks.segformer:segformer",
        about="SegFormer: the all-MLP decoder on mit_b0, mit_b1 or any backbone, stride 4.",
        settings={
            **_on_backbone("mit_b0", 32, HEADS["segformer_mlp"].settings),
            "backbone": Setting(
                str,
                "mit_b0",
                "mit_b0 or mit_b1, SegFormer's own, trained from scratch (the published weights "
                "are NVIDIA's, for non-commercial use); or one of segdistill list backbones",
                source="Xie et al., NeurIPS 2021",
            ),
        },
        given=_CLASSES,
    ),
    "pidnet": Entry(
        target="networks.pidnet:pidnet",
        about="PIDNet: branches for detail, context and boundaries; from scratch.",
        settings={
            "variant": _variant(
                Literal["small", "medium"],
                "small",
                "trained from scratch; XuJiacong/PIDNet (MIT) names its weights differently",
            ),
            "dropout": _dropout(0.0),
            "auxiliary": _train_only("the detail branch"),
        },
        given=_CLASSES,
    ),
    "ddrnet": Entry(
        target="networks.ddrnet:ddrnet",
        about="DDRNet: a fine and a coarse branch that exchange maps; from scratch.",
        settings={
            "variant": _variant(
                Literal["23_slim", "23"],
                "23_slim",
                "trained from scratch; ydhongHIT/DDRNet (MIT) names its weights differently",
            ),
            "dropout": _dropout(0.0),
            "auxiliary": _train_only("the fine branch"),
        },
        given=_CLASSES,
    ),
    "stdc": Entry(
        target="networks.stdc:stdc",
        about="STDC-Seg: dense modules with BiSeNet's head; from scratch.",
        settings={
            "variant": _variant(
                Literal["stdc1", "stdc2"],
                "stdc1",
                "trained from scratch; MichaelFan01/STDC-Seg (MIT) names its weights differently",
            ),
            "dropout": _dropout(0.0),
            "auxiliary": _train_only("the backbone's map at stride 16"),
        },
        given=_CLASSES,
    ),
    "pp_liteseg": Entry(
        target="networks.pp_liteseg:pp_liteseg",
        about="PP-LiteSeg: STDC's backbone with a light decoder; from scratch.",
        settings={
            "variant": _variant(
                Literal["tiny", "base"],
                "tiny",
                "trained from scratch; PaddlePaddle/PaddleSeg (Apache-2.0) does not use torch",
            ),
            "dropout": _dropout(0.0),
            "auxiliary": _train_only("the backbone's map at stride 16"),
        },
        given=_CLASSES,
    ),
    "bisenetv2": Entry(
        target="networks.bisenetv2:bisenetv2",
        about="BiSeNetV2: a branch for detail and one for semantics; from scratch.",
        settings={
            "width": _width(1024, "width of the head's map", "CoinCheung/BiSeNet"),
            "dropout": _dropout(0.1, "CoinCheung/BiSeNet"),
            "auxiliary": _train_only("the semantic branch at stride 16"),
        },
        given=_CLASSES,
    ),
    "fast_scnn": Entry(
        target="networks.fast_scnn:fast_scnn",
        about="Fast-SCNN: a shared stem, a coarse path and a skip connection; from scratch.",
        settings={
            "dropout": _dropout(0.1),
            "auxiliary": _train_only("the shared stem"),
        },
        given=_CLASSES,
    ),
    "regseg": Entry(
        target="networks.regseg:regseg",
        about="RegSeg: a thin network with large dilations, logits at stride 4; from scratch.",
        settings={"dropout": _dropout(0.0)},
        given=_CLASSES,
    ),
    "segnext": Entry(
        target="networks.segnext:segnext",
        about="SegNeXt: attention by strips of convolutions, a factorising decoder; from scratch.",
        settings={
            "variant": _variant(
                Literal["tiny", "small"],
                "tiny",
                "trained from scratch; Visual-Attention-Network/SegNeXt (Apache-2.0) names its "
                "weights differently",
            ),
            "dropout": _dropout(0.1),
        },
        given=_CLASSES,
    ),
    "topformer": Entry(
        target="networks.topformer:topformer",
        about="TopFormer: a transformer on the pooled maps of a MobileNet; from scratch.",
        settings={
            "variant": _variant(
                Literal["tiny", "small", "base"],
                "tiny",
                "trained from scratch; hustvl/TopFormer names its weights differently",
            ),
            "dropout": _dropout(0.1),
        },
        given=_CLASSES,
    ),
    "seaformer": Entry(
        target="networks.seaformer:seaformer",
        about="SeaFormer: attention over rows and columns beside convolutions; from scratch.",
        settings={
            "variant": _variant(
                Literal["tiny", "small", "base", "large"],
                "tiny",
                "trained from scratch; fudan-zvg/SeaFormer names its weights differently",
            ),
            "dropout": _dropout(0.1),
        },
        given=_CLASSES,
    ),
}

_RGB = tuple[float, float, float]

_ADAPTATION = {
    "output": Setting(
        str | None,
        None,
        "key, attribute, index or dotted path of the logits in the network's output; null: the "
        "only map with the right number of classes, or the one called logits or out",
    ),
    "output_is": Setting(
        Literal["logits", "probabilities", "features"],
        "logits",
        "kind of output: the logarithm turns probabilities into logits; features: the network has "
        "no classes, and only its inner maps are compared",
    ),
    "mean": Setting(
        _RGB | None,
        None,
        "mean of red, green and blue for images in [0, 1] (divide values for 0 to 255 by 255); "
        "null: the folder's for hf, ImageNet's for smp and torchvision, and none for import and "
        "file, whose networks normalise by themselves",
        at_least=0.0,
        at_most=1.0,
    ),
    "std": Setting(
        _RGB | None,
        None,
        "standard deviation of red, green and blue, on the scale of mean; null: as for mean",
        above=0.0,
        at_most=1.0,
    ),
    "channel_order": Setting(
        Literal["rgb", "bgr"],
        "rgb",
        "order of the colour channels that the network expects",
    ),
    "divisor": Setting(
        int | None,
        None,
        "pad images until their height and width are multiples of this; null: 32 for smp, found "
        "by trying for hf, and 1 otherwise",
        at_least=1,
        unit="px",
    ),
    "square": Setting(
        bool, False, "pad images to squares, as is always done for hf networks that need it"
    ),
    "class_map": Setting(
        tuple[int | tuple[int, ...] | None, ...] | None,
        None,
        "the network's class for each class of the dataset: a number, or a name if its file lists "
        "them, several whose probabilities are added, or null for a class that it lacks; null: "
        "the same classes",
        at_least=0,
    ),
}
"""The settings of :class:`~segdistill.models.foreign.adaptation.Adaptation`, for every source."""

_ARGS = {
    "args": Setting(dict[str, object] | None, None, "keyword arguments for building the network")
}
_GIVEN = ("name", "classes", "adaptation")


def _pretrained(default: bool, what: str) -> dict[str, Setting]:
    return {"pretrained": Setting(bool, default, what)}


SOURCES: dict[str, Entry] = {
    "import": Entry(
        target="foreign.sources:from_import",
        about="Your own code: import:package.module:function with args.",
        settings={**_ARGS, **_ADAPTATION},
        given=_GIVEN,
    ),
    "smp": Entry(
        target="foreign.sources:from_smp",
        about="segmentation-models-pytorch: smp:unet, smp:upernet and so on.",
        settings={
            **_ARGS,
            **_pretrained(False, "start the encoder from ImageNet weights (downloads)"),
            **_ADAPTATION,
        },
        given=_GIVEN,
    ),
    "torchvision": Entry(
        target="foreign.sources:from_torchvision",
        about="torchvision: torchvision:deeplabv3_resnet50 and so on.",
        settings={
            **_ARGS,
            **_pretrained(
                False, "start the backbone from torchvision's ImageNet weights (downloads)"
            ),
            **_ADAPTATION,
        },
        given=_GIVEN,
    ),
    "hf": Entry(
        target="foreign.huggingface:from_huggingface",
        about="A Hugging Face folder on this machine: hf:FOLDER.",
        settings={
            **_pretrained(
                True, "load the folder's weights; false: only the architecture, from scratch"
            ),
            "new_head": Setting(
                bool,
                False,
                "initialise parts of the head at random that the folder lacks or has for other "
                "classes, for fine-tuning",
            ),
            **_ADAPTATION,
        },
        given=_GIVEN,
    ),
    "file": Entry(
        target="foreign.program:from_file",
        about="A TorchScript or torch.export file, as teacher: file:PATH.",
        settings=_ADAPTATION,
        given=_GIVEN,
    ),
}
"""Sources of foreign networks, keyed by the prefix before the colon."""

ENSEMBLE = "ensemble"
"""Name of a teacher that consists of several networks."""

TEACHERS: dict[str, Entry] = {
    ENSEMBLE: Entry(
        target="ensemble:build_ensemble",
        about="Several teachers: the mean of their probabilities, and the inner maps of each.",
        settings={
            "members": Setting(
                tuple[dict[str, Any], ...],
                REQUIRED,
                "the teachers, two or more, each with the keys of a teacher",
            )
        },
        given=("classes", "class_names", "tell"),
    )
}
"""Teachers that are not single networks."""


def network_entry(name: str) -> Entry:
    """Return the row of ``NETWORKS``, ``SOURCES`` or ``TEACHERS`` that a config names.

    Raises:
        ConfigError: there is no such row; the message names the nearest.
    """
    prefix, colon, _ = name.partition(":")
    if colon and prefix in SOURCES:
        return SOURCES[prefix]
    rows = {**NETWORKS, **TEACHERS}
    if name not in rows:
        known = [*rows, *(f"{source}:" for source in SOURCES)]
        raise ConfigError(
            f"network: expected a known network, got '{name}'; {nearest(name, known)}"
        )
    return rows[name]
