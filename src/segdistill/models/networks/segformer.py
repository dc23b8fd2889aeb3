"""SegFormer: the all-MLP decoder on a Mix Transformer or any backbone, logits at stride 4."""

from __future__ import annotations

from segdistill.models.backbone import Backbone, Trunk
from segdistill.models.heads.segformer_mlp import AllMlp
from segdistill.models.mix_transformer import WIDTHS, MixTransformer
from segdistill.models.segmenter import Segmenter


def segformer(
    classes: int,
    backbone: str = "mit_b0",
    output_stride: int = 32,
    width: int = 256,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return SegFormer; see :class:`AllMlp`, :class:`MixTransformer` and :class:`Segmenter`.

    Raises:
        ValueError: a Mix Transformer is asked for pretrained or at another stride than 32, or
            :class:`Backbone` refuses the name.
    """
    trunk: Trunk
    if backbone in WIDTHS:
        _check(backbone, output_stride, pretrained)
        trunk = MixTransformer(backbone)
    else:
        trunk = Backbone(backbone, output_stride, pretrained)
    head = AllMlp(trunk.features, width)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)


def _check(backbone: str, output_stride: int, pretrained: bool) -> None:
    if output_stride != 32:
        raise ValueError(
            f"segformer: expected output_stride 32 for {backbone}, got {output_stride}; "
            "remove the setting"
        )
    if pretrained:
        raise ValueError(
            f"segformer: expected pretrained=false for {backbone}, whose published weights may "
            "not be used commercially (NVIDIA's licence), got true; train from scratch or name "
            "a file as weights"
        )
