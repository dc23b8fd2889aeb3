"""Constructors of the networks that a config can name."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.aspp import AtrousPyramid
from segdistill.models.heads.fcn import FullyConvolutional
from segdistill.models.heads.lraspp import LiteAtrousPyramid
from segdistill.models.heads.psp import PyramidPooling
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


def pspnet(
    classes: int,
    backbone: str = "resnet101",
    output_stride: int = 8,
    width: int = 512,
    bins: tuple[int, ...] = (1, 2, 3, 6),
    branch_width: int | None = None,
    separable: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return PSPNet; see :class:`PyramidPooling` and :class:`Segmenter`."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = PyramidPooling(trunk.features, width, bins, branch_width, separable)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)


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
