"""Semantic FPN: a feature pyramid on any backbone, logits at stride 4."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.fpn import FeaturePyramid
from segdistill.models.segmenter import Segmenter


def fpn(
    classes: int,
    backbone: str = "resnet50",
    output_stride: int = 32,
    pyramid: int = 256,
    width: int = 128,
    smooth: bool = True,
    separable: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return a semantic feature pyramid; see :class:`FeaturePyramid` and :class:`Segmenter`."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = FeaturePyramid(trunk.features, pyramid, width, smooth, separable)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
