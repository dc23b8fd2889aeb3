"""The network: backbone, head, classifier, with its own normalisation inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.backbone import Backbone, Trunk
from segdistill.models.heads.fcn import FullyConvolutional
from segdistill.models.heads.head import Head
from segdistill.models.inputs import check_images, register_normalisation
from segdistill.types import SegOutput


class Segmenter(nn.Module):
    """A segmentation network from RGB images in [0, 1] to logits at its own stride.

    Args:
        backbone: gives the maps, and the mean and deviation of the normalisation.
        head: from the maps to the last map before the classifier.
        classes: number of classes.
        dropout: share of values dropped before the classifier in training.
        auxiliary: add a head and a classifier on the stage before the last; they run in
            training mode only.
        auxiliary_width: channels of the auxiliary head; None takes a quarter of that stage's.

    Attributes:
        taps: module path by name of the tap: ``backbone``, ``head``, ``logits``.
        stride: image pixels per position of the logits.
        smallest_image: the least height and width of an image.
        run_auxiliary: also run the auxiliary head in evaluation mode, to count its cost.

    Shape:
        images ``(N, 3, H, W)``; logits ``(N, classes, ceil(H / stride), ceil(W / stride))``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Trunk,
        head: Head,
        classes: int,
        dropout: float = 0.1,
        auxiliary: bool = False,
        auxiliary_width: int | None = None,
    ) -> None:
        super().__init__()
        self.taps = {"backbone": "backbone", "head": "head", "logits": "classifier"}
        self.classes = classes
        self.stride = head.out_stride
        self.smallest_image = (head.smallest_map - 1) * backbone.features[-1].stride + 1
        register_normalisation(self, backbone.mean, backbone.std)
        self.backbone = backbone
        self.head = head
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(head.out_channels, classes, 1)
        self.run_auxiliary = False
        self.auxiliary: nn.Sequential | None = None
        if auxiliary:
            before_last = FullyConvolutional(backbone.features[:-1], auxiliary_width)
            self.auxiliary = nn.Sequential(
                before_last.blocks,
                nn.Dropout(dropout),
                nn.Conv2d(before_last.out_channels, classes, 1),
            )

    def forward(self, images: Tensor) -> SegOutput:
        if not torch.compiler.is_compiling():
            check_images(
                "Segmenter",
                images,
                self.smallest_image,
                has_output_stride=isinstance(self.backbone, Backbone),
            )
            self._check_batch(images)
        maps = self.backbone((images - self.mean) / self.std)
        logits = self.classifier(self.dropout(self.head(maps)))
        if self.auxiliary is not None and (self.training or self.run_auxiliary):
            return SegOutput(logits, self.auxiliary(maps[-2]))
        return SegOutput(logits)

    def _check_batch(self, images: Tensor) -> None:
        if self.training and self.head.pools_image and images.shape[0] < 2:
            raise ValueError(
                "Segmenter: expected at least 2 images in a training batch, since the head "
                "normalises a single value per image, got 1; use a larger batch_size or "
                "network.eval()"
            )
