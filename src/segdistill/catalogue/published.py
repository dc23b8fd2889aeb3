"""Scores that papers report for plain students, for comparison with your own."""

from __future__ import annotations

from dataclasses import dataclass

_CIRKD = "Yang et al., CVPR 2022, Table {}"
_ANGULAR = "Liu et al., WACV 2024, Table 1"


@dataclass(frozen=True)
class Published:
    """The score of a student that was trained without distillation.

    Attributes:
        dataset: name in the catalogue.
        split: split that was scored.
        network: name in the catalogue.
        backbone: timm's name of it.
        miou: mIoU in percent.
        source: paper and table.
    """

    dataset: str
    split: str
    network: str
    backbone: str
    miou: float
    source: str


PUBLISHED: tuple[Published, ...] = (
    Published("cityscapes", "val", "deeplabv3", "resnet18", 74.21, _CIRKD.format(1)),
    Published("cityscapes", "val", "deeplabv3", "mobilenetv2_100", 73.12, _CIRKD.format(1)),
    Published("cityscapes", "val", "pspnet", "resnet18", 72.55, _CIRKD.format(1)),
    Published("camvid", "test", "deeplabv3", "resnet18", 66.92, _CIRKD.format(2)),
    Published("camvid", "test", "pspnet", "resnet18", 66.73, _CIRKD.format(2)),
    Published("voc", "val", "deeplabv3", "resnet18", 73.21, _CIRKD.format(3)),
    Published("voc", "val", "pspnet", "resnet18", 73.33, _CIRKD.format(3)),
    Published("cityscapes", "val", "pspnet", "resnet18", 72.65, _ANGULAR),
    Published("cityscapes", "val", "pspnet", "mobilenetv2_100", 72.73, _ANGULAR),
    Published("cityscapes", "val", "deeplabv3", "resnet18", 74.96, _ANGULAR),
    Published("cityscapes", "val", "deeplabv3", "mobilenetv2_100", 73.98, _ANGULAR),
    Published("voc", "val", "pspnet", "resnet18", 71.35, _ANGULAR),
    Published("voc", "val", "pspnet", "mobilenetv2_100", 69.14, _ANGULAR),
    Published("voc", "val", "deeplabv3", "resnet18", 71.98, _ANGULAR),
    Published("voc", "val", "deeplabv3", "mobilenetv2_100", 69.92, _ANGULAR),
    Published("ade20k", "val", "pspnet", "resnet18", 35.03, _ANGULAR),
    Published("ade20k", "val", "pspnet", "mobilenetv2_100", 33.33, _ANGULAR),
    Published("ade20k", "val", "deeplabv3", "resnet18", 37.19, _ANGULAR),
    Published("ade20k", "val", "deeplabv3", "mobilenetv2_100", 35.14, _ANGULAR),
)
"""Published scores of plain students, all with ImageNet backbones."""


def published(dataset: str, split: str, network: str, backbone: str) -> list[Published]:
    """Return the published scores of a plain student, which may be none."""
    wanted = dataset, split, network, backbone
    return [
        row for row in PUBLISHED if (row.dataset, row.split, row.network, row.backbone) == wanted
    ]
