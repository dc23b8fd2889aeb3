"""DeepLabV3+'s head: the pyramid's map and the shallow one, mixed at stride 4."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.models.heads.aspp_decoder import AtrousDecoder
from segdistill.models.heads.head import FeatureInfo

FEATURES = (FeatureInfo(3, 2), FeatureInfo(6, 4), FeatureInfo(12, 16))


def test_both_maps_reach_the_result_and_no_other() -> None:
    head = AtrousDecoder(FEATURES, width=5, rates=(2,), shallow_width=4, separable=True).eval()
    maps = [torch.rand(1, info.channels, 64 // info.stride, 96 // info.stride) for info in FEATURES]
    for each in maps:
        each.requires_grad_()
    result = head(maps)
    assert result.shape == (1, 5, 16, 24)
    result.sum().backward()
    assert [each.grad is not None and bool(each.grad.any()) for each in maps] == [False, True, True]


def test_the_pyramid_is_deeplabv3s_and_has_the_last_maps_stride() -> None:
    head = AtrousDecoder(FEATURES, width=5).eval()
    assert (head.pyramid.out_stride, head.out_stride) == (16, 4)
    last = torch.rand(1, 12, 4, 6)
    seen = []
    head.pyramid.register_forward_hook(lambda *call: seen.append(call[2]))
    head([torch.zeros(1, 3, 32, 48), torch.zeros(1, 6, 16, 24), last])
    assert_close(seen[0], head.pyramid([last]))


def test_a_backbone_without_a_shallow_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a map of stride 4 .* got strides \[8, 4\]; .*deeplabv3"):
        AtrousDecoder([FeatureInfo(4, 8), FeatureInfo(8, 4)])
