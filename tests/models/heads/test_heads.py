"""What all heads have in common: widths, strides and the settings of their table."""

import pytest
import torch

from segdistill.catalogue import tables
from segdistill.catalogue.networks import HEADS
from segdistill.models.heads.head import FeatureInfo, Head

FEATURES = (FeatureInfo(6, 4), FeatureInfo(8, 8), FeatureInfo(12, 16))


def features(*, images: int = 2, height: int = 8, width: int = 10) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(
            images,
            info.channels,
            height * 16 // info.stride,
            width * 16 // info.stride,
            generator=generator,
        )
        for info in FEATURES
    ]


def build(name: str, **settings: object) -> Head:
    head = tables.load("segdistill.models", HEADS[name].target)(FEATURES, **settings)
    assert isinstance(head, Head)
    return head


@pytest.mark.parametrize("name", HEADS)
def test_the_map_has_the_width_and_stride_that_the_head_says(name: str) -> None:
    head = build(name, width=16)
    maps = head(features())
    assert maps.shape == (2, head.out_channels, 128 // head.out_stride, 160 // head.out_stride)


@pytest.mark.parametrize("name", HEADS)
def test_every_parameter_learns(name: str) -> None:
    head = build(name, width=16)
    head(features()).square().mean().backward()
    for parameter, value in head.named_parameters():
        assert value.grad is not None, parameter


@pytest.mark.parametrize("name", ["fcn", "aspp", "psp"])
def test_a_separable_head_is_lighter(name: str) -> None:
    def parameters(head: Head) -> int:
        return sum(each.numel() for each in head.parameters())

    light = build(name, width=16, separable=True)
    assert parameters(light) < parameters(build(name, width=16))
    assert light(features()).shape == (2, 16, 8, 10)


@pytest.mark.parametrize("name", HEADS)
def test_settings_are_read_without_importing_the_head(name: str) -> None:
    entry = HEADS[name]
    assert "width" in entry.settings
