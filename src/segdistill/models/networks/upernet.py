"""UPerNet: pyramid pooling and a feature pyramid on any backbone, logits at stride 4."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.uper import UnifiedPerceptual
from segdistill.models.segmenter import Segmenter


def upernet(
    classes: int,
    backbone: str = "convnext_tiny",
    output_stride: int = 32,
    width: int = 512,
    bins: tuple[int, ...] = (1, 2, 3, 6),
    separable: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    auxiliary_width: int | None = None,
    pretrained: bool = False,
) -> Segmenter:
    """Return UPerNet; see :class:`UnifiedPerceptual` and :class:`Segmenter`."""
    trunk = Backbone(backbone, output_stride, pretrained)
    head = UnifiedPerceptual(trunk.features, width, bins, separable)
    return Segmenter(trunk, head, classes, dropout, auxiliary, auxiliary_width)
