"""The light head: torchvision's own module is the oracle."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models.segmentation.lraspp import LRASPPHead

from segdistill.models.heads.head import FeatureInfo
from segdistill.models.heads.lraspp import LiteAtrousPyramid


def test_with_one_classifier_equals_torchvisions_two() -> None:
    torch.manual_seed(0)
    low, high = torch.randn(2, 4, 8, 10), torch.randn(2, 6, 4, 5)
    oracle = LRASPPHead(low_channels=4, high_channels=6, num_classes=3, inter_channels=5).eval()
    head = LiteAtrousPyramid([FeatureInfo(4, 8), FeatureInfo(6, 16)], width=5).eval()
    head.deep.load_state_dict(oracle.cbr.state_dict())
    head.gate.load_state_dict({"weight": oracle.scale[1].weight})
    classifier = nn.Conv2d(9, 3, 1)
    with torch.no_grad():
        classifier.weight.copy_(
            torch.cat([oracle.high_classifier.weight, oracle.low_classifier.weight], dim=1)
        )
        classifier.bias = nn.Parameter(oracle.high_classifier.bias + oracle.low_classifier.bias)
    assert_close(classifier(head([low, high])), oracle({"low": low, "high": high}))


def test_refuses_a_backbone_without_a_map_of_stride_8() -> None:
    with pytest.raises(ValueError, match=r"a map of stride 8, got strides \[4, 16\]"):
        LiteAtrousPyramid([FeatureInfo(4, 4), FeatureInfo(6, 16)])
