"""A fully convolutional network: plain 3x3 convolutions on any backbone."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.fcn import FullyConvolutional
from segdistill.models.segmenter import Segmenter


def fcn(
    classes: int,
    backbone: str = "resnet50",
    output_stride: int = 8,
    width: int | None = None,
    convolutions: int = 1,
    separable: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return a fully convolutional network; see :class:`FullyConvolutional`."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = FullyConvolutional(trunk.features, width, convolutions, separable)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
