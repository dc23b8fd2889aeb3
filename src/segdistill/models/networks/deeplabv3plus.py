"""DeepLabV3+: DeepLabV3 with a decoder that adds a shallow map, logits at stride 4."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.aspp_decoder import AtrousDecoder
from segdistill.models.segmenter import Segmenter


def deeplabv3plus(
    classes: int,
    backbone: str = "resnet101",
    output_stride: int = 16,
    width: int = 256,
    rates: tuple[int, ...] | None = None,
    shallow_width: int = 48,
    separable: bool = True,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return DeepLabV3+; see :class:`AtrousDecoder` and :class:`Segmenter`."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = AtrousDecoder(trunk.features, width, rates, shallow_width, separable)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
