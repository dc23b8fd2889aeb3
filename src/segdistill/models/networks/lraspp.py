"""LR-ASPP: the light head of MobileNetV3 on any backbone."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.lraspp import LiteAtrousPyramid
from segdistill.models.segmenter import Segmenter


def lraspp(
    classes: int,
    backbone: str = "mobilenetv3_large_100",
    output_stride: int = 16,
    width: int = 128,
    dropout: float = 0.0,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return LR-ASPP; see :class:`LiteAtrousPyramid`. Its logits have stride 8."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = LiteAtrousPyramid(trunk.features, width)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
