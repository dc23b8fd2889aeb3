"""DeepLabV3's head: the paper's dilations, and its sum by hand."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.models.heads.aspp import AtrousPyramid, scaled_rates
from segdistill.models.heads.head import FeatureInfo


@pytest.mark.parametrize(
    ("stride", "rates"), [(4, (24, 48, 72)), (8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
def test_dilations_follow_the_stride(stride: int, rates: tuple[int, ...]) -> None:
    assert scaled_rates(stride) == rates
    head = AtrousPyramid([FeatureInfo(8, stride)], width=4)
    found = [each[0].dilation[0] for each in head.branches if each[0].kernel_size == (3, 3)]
    assert tuple(found) == rates


def test_looks_as_far_as_its_largest_dilation() -> None:
    head = AtrousPyramid([FeatureInfo(1, 16)], width=2, rates=(2, 3)).eval()
    maps = torch.ones(1, 1, 11, 11, requires_grad=True)
    with torch.no_grad():
        for each in head.modules():
            if isinstance(each, nn.Conv2d):
                each.weight.fill_(1.0)
        head.image[0].weight.zero_()
    (head([maps])[0, 0, 5, 5]).backward()
    assert maps.grad is not None
    rows = maps.grad[0, 0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert rows == [2, 3, 5, 7, 8]


def test_without_dilations_it_is_the_reduced_head() -> None:
    head = AtrousPyramid([FeatureInfo(320, 16)], rates=())
    shapes = [tuple(each.weight.shape) for each in head.modules() if isinstance(each, nn.Conv2d)]
    assert shapes == [(256, 320, 1, 1), (256, 320, 1, 1), (256, 512, 1, 1)]


def test_the_image_feature_is_the_same_everywhere() -> None:
    head = AtrousPyramid([FeatureInfo(3, 16)], width=2, rates=()).eval()
    with torch.no_grad():
        head.branches[0][0].weight.zero_()
        maps = head([torch.rand(2, 3, 4, 5)])
    assert_close(maps, maps[:, :, :1, :1].expand_as(maps))
