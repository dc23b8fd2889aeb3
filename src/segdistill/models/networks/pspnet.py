"""PSPNet: averages over grids of several coarseness on any backbone."""

from __future__ import annotations

from segdistill.models.backbone import Backbone
from segdistill.models.heads.psp import PyramidPooling
from segdistill.models.segmenter import Segmenter


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
