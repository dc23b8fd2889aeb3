"""Images looked at, and what a network makes of them."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segdistill.analysis.passes import as_input, passes, pick_images
from segdistill.config import EvaluationConfig
from segdistill.types import Sample, SegDataset, SegOutput


def dataset(count: int, height: int = 10, width: int = 20) -> SegDataset:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    return cast(SegDataset, [Sample(image, None, str(place)) for place in range(count)])


def test_images_are_spread_over_the_split() -> None:
    assert pick_images(dataset(100), most=4, most_pixels=10**6) == [12, 37, 62, 87]
    assert pick_images(dataset(3), most=64, most_pixels=10**6) == [0, 1, 2]


def test_large_images_are_fewer_but_four_at_least() -> None:
    assert len(pick_images(dataset(100), most=64, most_pixels=200 * 9)) == 9
    assert len(pick_images(dataset(100), most=64, most_pixels=1)) == 4


@pytest.mark.parametrize(
    ("scales", "size"), [((0.5,), (5, 10)), ((1.0,), (10, 20)), ((0.5, 2.0), (10, 20))]
)
def test_an_image_is_as_it_was_when_it_was_scored(
    scales: tuple[float, ...], size: tuple[int, int]
) -> None:
    image = np.full((10, 20, 3), 51, dtype=np.uint8)
    found = as_input(image, EvaluationConfig(scales=scales))
    assert found.shape == (1, 3, *size)
    assert found.unique().tolist() == pytest.approx([0.2])


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 5, kernel_size=1)
        self.norm = nn.BatchNorm2d(5)
        self.taps = {"head": "inner"}

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.norm(self.inner(images))[:, :2, ::2, ::2])


def test_features_and_logits_come_image_by_image_and_nothing_is_changed() -> None:
    network = Toy().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = [torch.rand(1, 3, 4, 6), torch.rand(1, 3, 8, 2)]
    found = list(passes(network, images, "head", torch.device("cpu")))
    assert [tuple(one.features.shape) for one in found] == [(5, 4, 6), (5, 8, 2)]
    assert [tuple(one.logits.shape) for one in found] == [(2, 2, 3), (2, 4, 1)]
    with torch.no_grad():
        torch.testing.assert_close(found[1].features, network.inner(images[1])[0])
    assert network.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


def test_refuses_a_tap_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'head'\?"):
        list(passes(Toy(), [torch.rand(1, 3, 4, 4)], "heads", torch.device("cpu")))
