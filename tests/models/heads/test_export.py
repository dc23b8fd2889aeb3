"""Heads in an ONNX file: the same logits at sizes that were not traced, on a toy backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segdistill.delivery.onnx import export_onnx
from segdistill.delivery.opening import open_file
from segdistill.delivery.parity import compare, other_sizes
from segdistill.models.backbone import Trunk
from segdistill.models.heads.aspp_decoder import AtrousDecoder
from segdistill.models.heads.fpn import FeaturePyramid
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.heads.segformer_mlp import AllMlp
from segdistill.models.heads.uper import UnifiedPerceptual
from segdistill.models.networks.pidnet import BoundaryGuided
from segdistill.models.networks.pp_liteseg import FlexibleDecoder
from segdistill.models.segmenter import Segmenter
from segdistill.types import Classes

pytestmark = pytest.mark.long  # whole runs

SIZE = (224, 256)
CLASSES = Classes(tuple("abcde"), ((0, 0, 0),) * 5)


class Toy(Trunk):
    """One strided convolution per map, each on the images."""

    def __init__(self, strides: Sequence[int]) -> None:
        super().__init__()
        self.mean, self.std = (0.5,) * 3, (0.25,) * 3
        self.features = tuple(FeatureInfo(8, stride) for stride in strides)
        self.maps = nn.ModuleList(
            nn.Conv2d(3, 8, stride + 1, stride, padding=stride // 2) for stride in strides
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        return [convolution(images) for convolution in self.maps]


HEADS: dict[str, tuple[Sequence[int], Callable[[Sequence[FeatureInfo]], Head]]] = {
    "fpn": ((4, 8, 16, 32), lambda maps: FeaturePyramid(maps, pyramid=8, width=8)),
    "aspp_decoder": ((4, 16), lambda maps: AtrousDecoder(maps, 8, (2, 3), 6)),
    "uper": ((4, 8, 32), lambda maps: UnifiedPerceptual(maps, width=8)),
    "segformer_mlp": ((4, 8, 16, 32), lambda maps: AllMlp(maps, width=8)),
    "pidnet": ((8, 8, 8, 64), BoundaryGuided),
    "pp_liteseg": ((8, 16, 32), lambda maps: FlexibleDecoder(maps, (4, 6, 8), 8)),
}


@pytest.mark.parametrize("name", HEADS)
def test_agrees_with_the_network_at_three_other_sizes(name: str, tmp_path: Path) -> None:
    strides, head = HEADS[name]
    torch.manual_seed(0)
    trunk = Toy(strides)
    network = Segmenter(trunk, head(trunk.features), classes=5).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of the batch itself, so that maps vary
    with torch.no_grad():
        network(torch.rand(4, 3, *SIZE))
        assert network.eval()(torch.rand(1, 3, *SIZE)).logits.std(dim=(2, 3)).mean() > 0.05
    export_onnx(network, tmp_path / "a.onnx", SIZE, full_size=False)
    file = open_file(tmp_path / "a.onnx", "onnx", classes=CLASSES)
    for parity in compare(network, file, other_sizes(SIZE)):
        assert parity.largest_difference is not None
        assert parity.largest_difference < 1e-4, parity
        assert parity.agreement > 0.999, parity
