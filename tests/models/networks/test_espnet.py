"""ESPNet and ESPNet-C: sizes, strides, taps and refusals."""

import pytest
import torch

from segdistill.models import build_network
from segdistill.models.taps import TapShape, describe


@pytest.mark.parametrize(("name", "stride"), [("espnet_c", 8), ("espnet", 1)])
@pytest.mark.parametrize("size", [(64, 96), (53, 71)])
def test_logits_come_at_the_networks_own_stride(
    name: str, stride: int, size: tuple[int, int]
) -> None:
    network = build_network({"network": name, "repeats": (1, 1)}, classes=5, seed=0).eval()
    with torch.no_grad():
        logits = network(torch.rand(1, 3, *size)).logits
    assert network.stride == stride
    assert logits.shape == (1, 5, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("name", ["espnet_c", "espnet"])
def test_every_parameter_learns_and_taps_are_named(name: str) -> None:
    network = build_network({"network": name, "repeats": (1, 1)}, classes=5, seed=0)
    network(torch.rand(2, 3, 64, 64)).logits.square().mean().backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
    shapes = describe(network, ["backbone", "head", "logits"], (64, 64))
    assert shapes["backbone"] == TapShape(256, 8)
    assert shapes["logits"] == TapShape(5, network.stride)


def test_refuses_images_that_are_none() -> None:
    with pytest.raises(ValueError, match="EspNet: expected float images"):
        build_network({"network": "espnet"}, classes=5)(torch.zeros(1, 1, 64, 64))
