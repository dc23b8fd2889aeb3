"""DeepLabV3: several dilations and an image feature on any backbone."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.aspp import AtrousPyramid
from segdistill.models.segmenter import Segmenter


def deeplabv3(
    classes: int,
    backbone: str = "resnet101",
    output_stride: int = 16,
    width: int = 256,
    rates: tuple[int, ...] | None = None,
    separable: bool = False,
    refine: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return DeepLabV3; see :class:`AtrousPyramid` and :class:`Segmenter`."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = AtrousPyramid(trunk.features, width, rates, separable, refine)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
