"""ESPNet: convolutions cut into a 1x1 reduction and a pyramid of thin dilated ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.images import IMAGENET_MEAN, IMAGENET_STD, check_images
from segdistill.types import SegOutput

_EPSILON = 1e-3  # of batch norm, the authors' code (sacmehta/ESPNet)
_DILATIONS = (1, 2, 4, 8, 16)


class EspModule(nn.Module):
    """An efficient spatial pyramid: reduce, look with five dilations, merge, norm, PReLU.

    The branches are added up from the second on before they are concatenated (hierarchical
    feature fusion), which removes the gridding of large dilations.

    Args:
        in_channels: width of the map.
        out_channels: width of the result; each branch has a fifth, the first the rest too.
        stride: 1, or 2 to halve height and width with a 3x3 reduction.
        residual: add the input; it needs equal widths and stride 1.

    Source:
        Mehta, Rastegari, Caspi, Shapiro and Hajishirzi, "ESPNet: Efficient Spatial Pyramid
        of Dilated Convolutions for Semantic Segmentation", ECCV 2018, Sec. 3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, residual: bool = True
    ) -> None:
        super().__init__()
        thin = out_channels // len(_DILATIONS)
        first = out_channels - thin * (len(_DILATIONS) - 1)
        self.residual = residual
        kernel = 3 if stride == 2 else 1
        self.reduce = nn.Conv2d(
            in_channels, thin, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.branches = nn.ModuleList(
            nn.Conv2d(
                thin, first if rate == 1 else thin, 3, padding=rate, dilation=rate, bias=False
            )
            for rate in _DILATIONS
        )
        self.norm = _norm_act(out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        reduced = self.reduce(maps)
        views = [branch(reduced) for branch in self.branches]
        for index in range(2, len(views)):
            views[index] = views[index] + views[index - 1]
        merged = torch.cat(views, dim=1)
        result: Tensor = self.norm(maps + merged if self.residual else merged)
        return result


class EspEncoder(nn.Module):
    """The encoder: three levels, each halving the map, with the shrunk image beside them.

    Args:
        repeats: ESP modules of the second and the third level.

    Shape:
        images ``(N, 3, H, W)``; results of 19, 131 and 256 channels at stride 2, 4 and 8.
    """

    channels = (16 + 3, 128 + 3, 256)

    def __init__(self, repeats: tuple[int, int]) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)
        self.level1 = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), _norm_act(16)
        )
        self.norm1 = _norm_act(self.channels[0])
        self.down2 = EspModule(self.channels[0], 64, stride=2, residual=False)
        self.level2 = nn.Sequential(*(EspModule(64, 64) for _ in range(repeats[0])))
        self.norm2 = _norm_act(self.channels[1])
        self.down3 = EspModule(self.channels[1], 128, stride=2, residual=False)
        self.level3 = nn.Sequential(*(EspModule(128, 128) for _ in range(repeats[1])))
        self.norm3 = _norm_act(self.channels[2])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.shrink(images)
        first = self.norm1(torch.cat([self.level1(images), half], dim=1))
        down = self.down2(first)
        second = self.norm2(torch.cat([self.level2(down), down, self.shrink(half)], dim=1))
        down = self.down3(second)
        third = self.norm3(torch.cat([down, self.level3(down)], dim=1))
        return first, second, third


class EspNetC(nn.Module):
    """ESPNet-C, the encoder with a classifier: logits of stride 8.

    Args:
        classes: number of classes.
        repeats: ESP modules of the second and the third level; the paper's are 2 and 8.

    Attributes:
        taps: module path of ``backbone`` and ``head``, which are one map, and ``logits``.
        stride: of the logits.
        smallest_image: the least height and width of an image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, repeats: tuple[int, int] = (2, 8)) -> None:
        super().__init__()
        self.taps = {"backbone": "encoder", "head": "encoder", "logits": "classifier"}
        self.stride, self.smallest_image, self.classes = 8, 1, classes
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1))
        self.encoder = EspEncoder(repeats)
        self.classifier = nn.Conv2d(EspEncoder.channels[2], classes, 1, bias=False)

    def forward(self, images: Tensor) -> SegOutput:
        if not torch.compiler.is_compiling():
            check_images("EspNetC", images, self.smallest_image)
        return SegOutput(self.classifier(self.encoder((images - self.mean) / self.std)[2]))


class EspNet(nn.Module):
    """ESPNet: the encoder and a light decoder, logits at the image's own size.

    Where a level's height or width is odd, the decoder's larger map is cut to it.

    Args:
        classes: number of classes.
        repeats: ESP modules of the second and the third level; the paper's are 2 and 8.

    Attributes:
        taps: module path of ``backbone`` (encoder), ``head`` and ``logits``.
        stride: of the logits.
        smallest_image: the least height and width of an image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, repeats: tuple[int, int] = (2, 8)) -> None:
        super().__init__()
        self.taps = {"backbone": "encoder", "head": "head", "logits": "classifier"}
        self.stride, self.smallest_image, self.classes = 1, 1, classes
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1))
        first, second, third = EspEncoder.channels
        self.encoder = EspEncoder(repeats)
        self.score3 = nn.Sequential(
            nn.Conv2d(third, classes, 1, bias=False),
            nn.BatchNorm2d(classes, eps=_EPSILON),
            _double(classes),
        )
        self.score2 = nn.Conv2d(second, classes, 1, bias=False)
        self.merge2 = nn.Sequential(
            _norm_act(2 * classes),
            EspModule(2 * classes, classes, residual=False),
            _double(classes),
            _norm_act(classes),
        )
        self.head = nn.Sequential(
            nn.Conv2d(first + classes, classes, 3, padding=1, bias=False), _norm_act(classes)
        )
        self.classifier = _double(classes)

    def forward(self, images: Tensor) -> SegOutput:
        if not torch.compiler.is_compiling():
            check_images("EspNet", images, self.smallest_image)
        first, second, third = self.encoder((images - self.mean) / self.std)
        merged = torch.cat([self.score2(second), _cut(self.score3(third), second)], dim=1)
        maps = self.head(torch.cat([_cut(self.merge2(merged), first), first], dim=1))
        return SegOutput(_cut(self.classifier(maps), images))


def _norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels, eps=_EPSILON), nn.PReLU(channels))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def _cut(maps: Tensor, like: Tensor) -> Tensor:
    return maps[:, :, : like.shape[2], : like.shape[3]]
