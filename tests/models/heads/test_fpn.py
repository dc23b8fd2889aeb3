"""The feature pyramid head: what is added to what, its levels, its refusals."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.models import build_network
from segdistill.models.heads.fpn import FeaturePyramid
from segdistill.models.heads.head import FeatureInfo

FEATURES = (FeatureInfo(3, 2), FeatureInfo(4, 4), FeatureInfo(5, 8), FeatureInfo(6, 16))


def maps() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((21, 33), (11, 17), (6, 9), (3, 5))
    return [
        torch.randn(2, info.channels, *size, generator=generator)
        for info, size in zip(FEATURES, sizes, strict=True)
    ]


def test_equals_the_pyramid_written_out() -> None:
    head = FeaturePyramid(FEATURES, pyramid=8, width=7).eval()
    features = maps()
    with torch.no_grad():
        deep = head.laterals[2](features[3])
        middle = head.laterals[1](features[2]) + F.interpolate(deep, (6, 9))
        shallow = head.laterals[0](features[1]) + F.interpolate(middle, (11, 17))

        def enlarged(x: torch.Tensor, *size: int) -> torch.Tensor:
            return F.interpolate(x, size, mode="bilinear")

        first, second, third = head.towers
        assert isinstance(third, nn.ModuleList)
        expected = (
            first[0](head.smooth[0](shallow))
            + enlarged(second[0](head.smooth[1](middle)), 11, 17)
            + enlarged(third[1](enlarged(third[0](head.smooth[2](deep)), 6, 9)), 11, 17)
        )
        assert_close(head(features), expected)


def test_a_map_of_stride_2_is_not_read() -> None:
    head = FeaturePyramid(FEATURES, pyramid=8, width=7)
    assert (head.levels, head.out_stride, head.out_channels) == ((1, 2, 3), 4, 7)


def test_maps_of_one_stride_share_a_level_of_the_climb() -> None:
    dilated = (FeatureInfo(4, 4), FeatureInfo(5, 8), FeatureInfo(6, 8))
    head = FeaturePyramid(dilated, pyramid=8, width=7).eval()
    with torch.no_grad():
        result = head([torch.randn(1, 4, 8, 8), torch.randn(1, 5, 4, 4), torch.randn(1, 6, 4, 4)])
    assert result.shape == (1, 7, 8, 8)
    assert head.climbs == [[], [0], [0]]


def test_refuses_a_backbone_with_a_single_deep_map() -> None:
    with pytest.raises(ValueError, match=r"FeaturePyramid: expected .* two maps.*\[2, 16\]"):
        FeaturePyramid((FeatureInfo(4, 2), FeatureInfo(6, 16)))


def test_a_student_of_a_third_of_a_million_parameters() -> None:
    network = build_network(
        {
            "network": "fpn",
            "backbone": "mobilenetv2_035",
            "pyramid": 48,
            "width": 32,
            "smooth": False,
        },
        classes=11,
    )
    assert sum(weight.numel() for weight in network.parameters()) == 342_219
