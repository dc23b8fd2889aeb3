"""ESPNet: its module by hand, its sizes, its stride."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.models import build_network
from segdistill.models.espnet import EspModule
from segdistill.models.taps import TapShape, describe


def test_branches_are_added_up_from_the_second_on() -> None:
    module = EspModule(1, 5, residual=False).eval()
    module.norm = torch.nn.Identity()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.reduce.weight.fill_(1.0)
        for number, branch in enumerate(module.branches, start=1):
            branch.weight[:, :, 1, 1] = float(number)
        maps = module(torch.ones(1, 1, 1, 1)).flatten()
    assert_close(maps, torch.tensor([1.0, 2.0, 2.0 + 3, 2.0 + 3 + 4, 2.0 + 3 + 4 + 5]))


def test_widths_that_five_does_not_divide_give_the_rest_to_the_first_branch() -> None:
    module = EspModule(64, 64)
    assert [each.out_channels for each in module.branches] == [16, 12, 12, 12, 12]
    assert module(torch.rand(2, 64, 5, 7)).shape == (2, 64, 5, 7)


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
