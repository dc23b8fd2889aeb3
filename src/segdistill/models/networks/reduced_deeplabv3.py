"""DeepLabV3 without dilated branches, the light form of the MobileNetV2 paper."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.aspp import AtrousPyramid
from segdistill.models.segmenter import Segmenter


def reduced_deeplabv3(
    classes: int,
    backbone: str = "mobilenetv2_100",
    output_stride: int = 16,
    width: int = 256,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return DeepLabV3 without dilated branches, as in the MobileNetV2 paper."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = AtrousPyramid(trunk.features, width, rates=())
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
