"""A network of each family: ours, timm's under a head, and those of other libraries."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from segdistill.catalogue.networks import NETWORKS
from segdistill.models import build_network

CLASSES = 5
STRIDES = (32, 16, 8)
LARGE = {"fast_scnn", "pp_liteseg", "upernet"}
"""Networks whose pooling asks for larger images."""

SMALL = [
    "beit_base_patch16_224",
    "cait_xxs24_224",
    "coat_lite_tiny",
    "coatnet_nano_rw_224",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_atto",
    "cpubone_nano",
    "crossvit_tiny_240",
    "cs3darknet_focus_s",
    "csatv2",
    "cspnext_tiny",
    "davit_tiny",
    "deepseek_vit_412m",
    "deit_tiny_patch16_224",
    "densenet121",
    "dla46_c",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "efficientvim_m1",
    "efficientvit_b0",
    "efficientvit_m0",
    "ese_vovnet19b_slim_dw",
    "eva02_tiny_patch14_224",
    "fasternet_t0",
    "fastvit_t8",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "gemma4_vit_167m",
    "ghostnet_050",
    "gmlp_ti16_224",
    "halonet26t",
    "hardcorenas_a",
    "hgnetv2_b0",
    "hiera_tiny_224",
    "hrnet_w18_small",
    "iformer_t",
    "inception_next_atto",
    "inception_resnet_v2",
    "inception_v3",
    "inception_v4",
    "lcnetv2_small",
    "legacy_seresnet18",
    "legacy_xception",
    "levit_128s",
    "lowformer_b0",
    "mambaout_femto",
    "mobilenetv3_small_050",
    "mobilenetv5_base",
    "mobileone_s0",
    "mobilevit_xxs",
    "mvitv2_tiny",
    "naflexvit_base_patch16_gap",
    "nasnetalarge",
    "nest_tiny",
    "nextvit_small",
    "nf_regnet_b0",
    "pit_ti_224",
    "pnasnet5large",
    "poolformer_s12",
    "pvt_v2_b0",
    "qwen3_vit_88m",
    "rdnet_tiny",
    "regnetx_002",
    "repghostnet_050",
    "repvit_m0_9",
    "res2net50_48w_2s",
    "resnest14d",
    "resnet10t",
    "resnetv2_18",
    "rexnet_100",
    "sam2_hiera_tiny",
    "samvit_base_patch16_224",
    "selecsls42",
    "sequencer2d_s",
    "shvit_s1",
    "skresnet18",
    "starnet_s050",
    "swiftformer_xs",
    "swin_tiny_patch4_window7_224",
    "swinv2_cr_tiny_224",
    "swinv2_tiny_window8_256",
    "tiny_vit_5m_224",
    "tinynet_e",
    "tnt_s_patch16_224",
    "tresnet_m",
    "twins_svt_small",
    "vgg11",
    "visformer_tiny",
    "vit_relpos_small_patch16_224",
    "vit_tiny_patch16_224",
    "vit_tiny_r_s16_p8_224",
    "vitamin_small_224",
    "volo_d1_224",
    "xception41",
    "xcit_nano_12_p16_224",
]
"""A small network of each of timm's modules with networks."""


@dataclass(frozen=True)
class Family:
    """A network that stands for a family.

    Attributes:
        network: what the table calls it.
        build: builds it with random weights; takes a folder for what it has to write.
        size: height and width of the images that it is tried with.
    """

    network: str
    build: Callable[[Path], nn.Module]
    size: tuple[int, int] = (96, 128)


def families() -> dict[str, Family]:
    """Return a network of each family, by the name of its row."""
    return {**own(), **of_huggingface(), **of_smp(), **of_torchvision(), **timm_families()}


def own() -> dict[str, Family]:
    """Return this package's networks, those with a backbone on MobileNetV2."""
    found = {}
    for name, row in NETWORKS.items():
        settings: dict[str, object] = {"network": name}
        if "backbone" in row.settings:
            settings["backbone"] = "mit_b0" if name == "segformer" else "mobilenetv2_035"
        size = (192, 256) if name in LARGE else (96, 128)
        found[f"segdistill {name}"] = Family(
            str(settings.get("backbone", "")), built(settings), size
        )
    return found


def timm_families() -> dict[str, Family]:
    """Return a small network of each of timm's modules, under an FCN head."""
    return {
        f"timm {timm.models.model_entrypoint(name).__module__.rpartition('.')[2]}": Family(
            name, functools.partial(backbone, name)
        )
        for name in SMALL
    }


def backbone(name: str, _folder: Path) -> nn.Module:
    """Build one of timm's networks at the deepest stride that it gives maps of."""
    reason = ValueError()
    for stride in STRIDES:
        settings = {"network": "fcn", "width": 16, "output_stride": stride, "backbone": name}
        try:
            return build_network(settings, classes=CLASSES, seed=0)
        except ValueError as error:
            reason = error
    raise reason


def of_smp() -> dict[str, Family]:
    """Return the architectures of segmentation-models-pytorch."""
    import segmentation_models_pytorch as smp

    found = {}
    for name in smp.MODEL_ARCHITECTURES_MAPPING:
        encoder = "tu-vit_tiny_patch16_224" if name == "dpt" else "resnet18"
        settings = {"network": f"smp:{name}", "args": {"encoder_name": encoder}}
        size = (192, 256) if name == "pan" else (96, 128)
        found[f"smp {name}"] = Family(encoder, built(settings), size)
    return found


def of_torchvision() -> dict[str, Family]:
    """Return torchvision's segmentation networks."""
    from torchvision import models

    names = models.list_models(module=models.segmentation)
    return {
        f"torchvision {name}": Family("", built({"network": f"torchvision:{name}"}))
        for name in names
    }


def of_huggingface() -> dict[str, Family]:
    """Return tiny networks of every class of transformers that segments."""
    return {
        f"Hugging Face {name.removesuffix('ForSemanticSegmentation')}": Family(
            config,
            functools.partial(of_folder, name, config, settings),
            _ONLY.get(name, (96, 128)),
        )
        for name, (config, settings) in _HUGGINGFACE.items()
    }


def built(settings: dict[str, object]) -> Callable[[Path], nn.Module]:
    """Return what builds the network of a config's section."""
    return lambda _folder: build_network(settings, classes=CLASSES, seed=0)


def of_folder(name: str, config: str, settings: dict[str, Any], folder: Path) -> nn.Module:
    """Write a random network of transformers into a folder, and build what the folder holds."""
    import transformers

    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    given = {
        key: transformers.CONFIG_MAPPING[value["model_type"]](**value)
        if isinstance(value, dict) and "model_type" in value
        else value
        for key, value in settings.items()
    }
    described = getattr(transformers, config)(**given, num_labels=CLASSES)
    getattr(transformers, name)(described).save_pretrained(folder)
    return build_network({"network": f"hf:{folder}"}, classes=CLASSES, seed=0)


_VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 64,
}
_SWIN = {
    "model_type": "swin",
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 2, 2, 2],
    "window_size": 4,
    "image_size": 64,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
_ONLY = {
    "Data2VecVisionForSemanticSegmentation": (64, 64),
    "EomtForUniversalSegmentation": (32, 32),
}
"""The image size of networks that take no other."""

_HUGGINGFACE: dict[str, tuple[str, dict[str, Any]]] = {
    "BeitForSemanticSegmentation": (
        "BeitConfig",
        {**_VIT, "out_indices": [1, 2, 3, 4], "pool_scales": [1, 2]},
    ),
    "Data2VecVisionForSemanticSegmentation": (
        "Data2VecVisionConfig",
        {**_VIT, "out_indices": [1, 2, 3, 4], "pool_scales": [1, 2]},
    ),
    "DPTForSemanticSegmentation": (
        "DPTConfig",
        {
            **_VIT,
            "backbone_out_indices": [0, 1, 2, 3],
            "neck_hidden_sizes": [8, 8, 8, 8],
            "fusion_hidden_size": 8,
            "use_auxiliary_head": False,
        },
    ),
    "MobileNetV2ForSemanticSegmentation": ("MobileNetV2Config", {"depth_multiplier": 0.35}),
    "MobileViTForSemanticSegmentation": (
        "MobileViTConfig",
        {
            "hidden_sizes": [16, 20, 24],
            "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32],
            "num_attention_heads": 2,
            "aspp_out_channels": 16,
        },
    ),
    "MobileViTV2ForSemanticSegmentation": (
        "MobileViTV2Config",
        {"width_multiplier": 0.5, "aspp_out_channels": 16},
    ),
    "SegformerForSemanticSegmentation": (
        "SegformerConfig",
        {
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [8, 16, 16, 24],
            "num_attention_heads": [1, 2, 2, 2],
            "decoder_hidden_size": 16,
        },
    ),
    "UperNetForSemanticSegmentation": (
        "UperNetConfig",
        {
            "backbone_config": {
                "model_type": "convnext",
                "depths": [1, 1, 1, 1],
                "hidden_sizes": [8, 16, 16, 24],
                "out_features": ["stage1", "stage2", "stage3", "stage4"],
            },
            "hidden_size": 16,
            "auxiliary_in_channels": 16,
            "auxiliary_channels": 8,
        },
    ),
    "MaskFormerForInstanceSegmentation": (
        "MaskFormerConfig",
        {"backbone_config": _SWIN, "fpn_feature_size": 32, "mask_feature_size": 32},
    ),
    "Mask2FormerForUniversalSegmentation": (
        "Mask2FormerConfig",
        {
            "backbone_config": _SWIN,
            "feature_size": 32,
            "mask_feature_size": 32,
            "hidden_dim": 32,
            "encoder_feedforward_dim": 16,
            "dim_feedforward": 16,
            "encoder_layers": 1,
            "decoder_layers": 2,
            "num_attention_heads": 2,
            "num_queries": 10,
        },
    ),
    "EomtForUniversalSegmentation": (
        "EomtConfig",
        {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "mlp_ratio": 2,
            "image_size": 32,
            "patch_size": 8,
            "num_blocks": 1,
            "num_queries": 6,
            "num_upscale_blocks": 1,
        },
    ),
}
