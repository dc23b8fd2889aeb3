"""MobileNetV2Plus: its stages, its stride, its gates."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.models import build_network
from segdistill.models.networks.mobilenetv2plus import EveryStage, SqueezeExcite
from segdistill.models.taps import TapShape, describe


def test_stages_have_the_strides_and_dilations_of_its_authors() -> None:
    trunk = EveryStage().eval()
    with torch.no_grad():
        maps = trunk(torch.zeros(1, 3, 64, 96))
    assert [64 // each.shape[2] for each in maps] == [2, 4, 8, 8, 8, 8, 8]
    assert [each.shape[1] for each in maps] == [feature.channels for feature in trunk.features]
    dilations = [
        {
            each.dilation[0]
            for each in stage.modules()
            if isinstance(each, nn.Conv2d) and each.groups > 1 and each.stride == (1, 1)
        }
        for stage in trunk.stages
    ]
    assert dilations == [{1}, {1}, {1}, {2}, {4}, {8}, {16}]


@pytest.mark.parametrize("size", [(64, 96), (53, 71)])
def test_logits_come_at_stride_4(size: tuple[int, int]) -> None:
    network = build_network({"network": "mobilenetv2plus"}, classes=5, seed=0).eval()
    with torch.no_grad():
        logits = network(torch.rand(1, 3, *size)).logits
    assert logits.shape == (1, 5, -(-size[0] // 4), -(-size[1] // 4))


def test_every_parameter_learns_and_taps_are_named() -> None:
    network = build_network({"network": "mobilenetv2plus"}, classes=5, seed=0)
    network(torch.rand(2, 3, 64, 64)).logits.square().mean().backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
    shapes = describe(network, ["backbone", "head"], (64, 64))
    assert shapes == {"backbone": TapShape(320, 8), "head": TapShape(296, 4)}


def test_the_gates_are_added() -> None:
    gate = SqueezeExcite(16)
    maps = torch.randn(2, 16, 3, 4)
    with torch.no_grad():
        for weight in gate.parameters():
            weight.zero_()
        # Both gates are sigmoid(0) = 1/2.
        assert_close(gate(maps), maps)
