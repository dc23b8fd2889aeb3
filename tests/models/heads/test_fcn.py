"""The plain head: its convolutions."""

import torch

from segdistill.models.heads.fcn import FullyConvolutional
from segdistill.models.heads.head import FeatureInfo


def test_takes_a_quarter_of_the_last_maps_width_and_as_many_convolutions_as_asked() -> None:
    head = FullyConvolutional([FeatureInfo(32, 8)], convolutions=2)
    shapes = [
        tuple(each.weight.shape) for each in head.modules() if isinstance(each, torch.nn.Conv2d)
    ]
    assert shapes == [(8, 32, 3, 3), (8, 8, 3, 3)]
