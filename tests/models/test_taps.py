"""Taps: the right map, by name or path, and hooks that are always gone."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models import build_network
from segdistill.models.taps import TapShape, describe, record, set_taps, source_of, tap_paths


class Toy(nn.Module):
    """A network that works in place, returns several maps, and has a layer it never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.rectify = nn.ReLU(inplace=True)
        self.many = Many()
        self.vector = nn.Flatten()
        self.idle = nn.Conv2d(1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.many(self.rectify(self.first(images)))[-1]
        self.vector(maps)
        return maps


class Many(nn.Module):
    def forward(self, maps: Tensor) -> list[Tensor]:
        return [maps, maps[:, :, ::2, ::2]]


def hooks(network: nn.Module) -> int:
    return sum(len(each._forward_hooks) for each in network.modules())


def test_a_recorded_map_is_the_modules_output_even_if_the_next_layer_works_in_place() -> None:
    network, images = Toy(), torch.randn(1, 3, 8, 12)
    with record(network, ["first", "rectify"]) as maps:
        network(images)
    expected = network.first(images)
    assert expected.min() < 0
    assert_close(maps["first"], expected)
    assert_close(maps["rectify"], expected.relu())


def test_gradients_flow_through_a_recorded_map() -> None:
    network = Toy()
    with record(network, ["first"]) as maps:
        network(torch.randn(1, 3, 8, 12))
    maps["first"].sum().backward()
    assert network.first.weight.grad is not None


def test_several_maps_count_with_the_last() -> None:
    assert describe(Toy(), ["many"], (8, 12)) == {"many": TapShape(channels=4, stride=4)}


def test_hooks_are_gone_after_the_block_and_after_an_error() -> None:
    network = Toy()
    with record(network, ["first"]) as maps:
        network(torch.randn(1, 3, 8, 12))
    assert hooks(network) == 0
    before = maps["first"]
    network(torch.randn(1, 3, 8, 12))
    assert maps["first"] is before
    with pytest.raises(RuntimeError), record(network, ["first"]):
        raise RuntimeError
    with (
        pytest.raises(ValueError, match="did you mean 'rectify'"),
        record(network, ["first", "rectfy"]),
    ):
        pass
    assert hooks(network) == 0


def test_names_lead_to_the_maps_before_and_after_the_classifier() -> None:
    settings = {"network": "deeplabv3", "backbone": "mobilenetv2_035", "width": 16}
    network = build_network(settings, classes=5, seed=0).eval()
    images = torch.rand(1, 3, 64, 96)
    with record(network, ["backbone", "head", "logits", "backbone.body.blocks.1"]) as maps:
        output = network(images)
    assert_close(maps["logits"], output.logits)
    assert_close(network.classifier(maps["head"]), output.logits)
    assert maps["backbone"].shape == (1, 112, 4, 6)
    assert maps["backbone.body.blocks.1"].shape == (1, 8, 16, 24)


def test_describing_leaves_mode_and_buffers_as_they_were() -> None:
    settings = {"network": "pspnet", "backbone": "mobilenetv2_035", "width": 16}
    network = build_network(settings, classes=5, seed=0).train()
    network.head.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    shapes = describe(network, ["backbone", "logits"], (96, 64))
    assert shapes == {"backbone": TapShape(112, 8), "logits": TapShape(5, 8)}
    assert_close(network.state_dict(), before)
    assert network.training
    assert not network.head.training


def test_names_can_be_given_to_any_network() -> None:
    network = Toy()
    assert tap_paths(network) == {}
    set_taps(network, {"early": "first"})
    assert describe(network, ["early"], (8, 12)) == {"early": TapShape(4, 2)}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "frist",
            "tap 'frist': expected a tap's name or a module path of Toy; did you mean 'first'",
        ),
        (
            "vector",
            r"tap 'vector': expected a module that returns a map.*tensor of shape \(1, 48\)|24",
        ),
        ("idle", "tap 'idle': expected a module that runs"),
        ("", "tap '': expected"),
    ],
)
def test_refuses_a_tap_that_gives_no_map(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe(Toy(), [name], (8, 12))


@pytest.mark.parametrize(
    ("size", "stride"), [((64, 96), 32), ((40, 56), 32), ((33, 130), 32), ((24, 16), 24)]
)
def test_a_stride_is_told_from_an_image_that_it_does_not_divide(
    size: tuple[int, int], stride: int
) -> None:
    # 24x16 gives one position, of which nobody can tell how many pixels it might take.
    network = nn.Sequential(nn.MaxPool2d(32, ceil_mode=True), nn.Identity())
    assert describe(network, ["0"], size)["0"].stride == stride


class Closed(nn.Module):
    """A classifier, dropout, and a module that its logits, or twice these, pass through."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(3, 2, 1)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Identity()
        self.times = times

    def forward(self, images: Tensor) -> Tensor:
        logits = self.dropout(self.classifier(images))
        passed: Tensor = self.out(logits if self.times == 1 else logits * self.times)
        return passed


def test_the_source_of_a_map_is_found_unless_the_map_was_changed_on_its_way() -> None:
    network = Closed(1).train()
    assert source_of(network, network.out, (4, 4)) is network.classifier
    assert network.training
    assert not network.out._forward_pre_hooks
    assert not network.classifier._forward_hooks
    other = Closed(2)
    assert source_of(other, other.out, (4, 4)) is None
