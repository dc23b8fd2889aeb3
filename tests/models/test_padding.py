"""Padding: networks that take some sizes only take all, and maps show no trace of it."""

import pytest
import torch
from torch import Tensor, nn

from segdistill.models import build_network
from segdistill.models.padding import cut, needed_divisor, pad


class Strict(nn.Module):
    """Takes sizes that 8 divides."""

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.stem = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if height % 8 or width % 8 or (self.size and {height, width} != {self.size}):
            raise RuntimeError("a size that it does not take")
        return self.stem(images)


def test_finds_what_must_divide_the_sides() -> None:
    assert needed_divisor(Strict()) == 8
    assert needed_divisor(nn.Conv2d(3, 4, 3)) == 1


def test_what_is_tried_keeps_its_weights_even_if_a_module_has_two_names() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    network.append(network[0])
    own = network[0].weight
    assert needed_divisor(network) == 1
    assert network[0].weight is own


def test_wrong_maps_are_no_answer() -> None:
    assert needed_divisor(nn.Conv2d(3, 4, 1), fits=lambda maps: maps.shape[3] % 8 == 0) == 8


@pytest.mark.parametrize("size", [224, 256, 384])
def test_a_fixed_size_is_no_divisor(size: int) -> None:
    assert needed_divisor(Strict(size)) is None
    assert needed_divisor(Strict(size), square=True) is None


def test_a_map_of_padded_images_is_cut_to_the_images() -> None:
    images = torch.rand(1, 3, 95, 129)
    padded = pad(images, 32)
    assert padded.shape[2:] == (96, 160)
    assert torch.equal(padded[..., :95, :129], images)
    assert cut(padded[..., ::8, ::8], (95, 129), (96, 160)).shape[2:] == (12, 17)


@pytest.mark.parametrize("backbone", ["hrnet_w18_small", "dla34", "vitamin_small_224"])
def test_backbones_that_refused_a_size_take_it(backbone: str) -> None:
    stride = 16 if backbone.startswith("vita") else 32
    with torch.device("meta"):
        network = build_network(
            {"network": "fcn", "backbone": backbone, "output_stride": stride}, classes=5
        ).eval()
        for height, width in ((95, 129), (360, 480)):
            maps = network(torch.empty(1, 3, height, width)).logits
            assert maps.shape[2:] == (-(-height // stride), -(-width // stride))


def test_a_network_of_one_size_is_refused_in_one_line() -> None:
    with torch.device("meta"):
        network = build_network(
            {"network": "fcn", "backbone": "volo_d1_224", "output_stride": 16}, classes=5
        ).eval()
        with pytest.raises(ValueError, match=r"Backbone volo_d1_224: .*got \(95, 129\)"):
            network(torch.empty(1, 3, 95, 129))
