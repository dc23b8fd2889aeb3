"""UPerNet's head: its pyramid pooling feeds the top-down path; its sizes and refusals."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.models.heads.head import FeatureInfo
from segdistill.models.heads.uper import UnifiedPerceptual

FEATURES = (FeatureInfo(4, 4), FeatureInfo(5, 8), FeatureInfo(6, 16))


def test_equals_the_two_paths_written_out() -> None:
    head = UnifiedPerceptual(FEATURES, width=8, bins=(1, 2)).eval()
    features = [torch.randn(2, 4, 11, 17), torch.randn(2, 5, 6, 9), torch.randn(2, 6, 3, 5)]

    def enlarged(x: torch.Tensor, *size: int) -> torch.Tensor:
        return F.interpolate(x, size, mode="bilinear")

    with torch.no_grad():
        deep = head.context(features)
        middle = head.laterals[1](features[1]) + enlarged(deep, 6, 9)
        shallow = head.laterals[0](features[0]) + enlarged(middle, 11, 17)
        views = [
            head.smooth[0](shallow),
            enlarged(head.smooth[1](middle), 11, 17),
            enlarged(deep, 11, 17),
        ]
        assert_close(head(features), head.fuse(torch.cat(views, dim=1)))


def test_says_how_small_a_map_and_a_batch_may_be() -> None:
    head = UnifiedPerceptual(FEATURES, width=8)
    assert (head.smallest_map, head.pools_image) == (6, True)
    assert not UnifiedPerceptual(FEATURES, width=8, bins=(2, 3)).pools_image


def test_refuses_a_backbone_with_a_single_map() -> None:
    with pytest.raises(ValueError, match="UnifiedPerceptual: expected a backbone with at least"):
        UnifiedPerceptual(FEATURES[:1])
