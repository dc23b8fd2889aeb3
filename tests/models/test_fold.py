"""Folding: the same function with fewer layers, and only where it is safe."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models.backbone import Backbone
from segdistill.models.fold import fold_batch_norms

from .toys import trained


def norms(network: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in network.modules())


class Awkward(nn.Module):
    """Norms that must stay: a shared one, a convolution that is read twice, a norm first."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.BatchNorm2d(3)
        self.read_twice = nn.Conv2d(3, 4, 1)
        self.after_twice = nn.BatchNorm2d(4)
        self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.shared = nn.BatchNorm2d(4)
        self.plain = nn.Conv2d(4, 2, 3, padding=1, bias=False)
        self.plain_norm = nn.BatchNorm2d(2, affine=True)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.read_twice(self.start(images))
        maps = self.after_twice(maps) + maps
        maps = self.shared(self.left(maps)) + self.shared(self.right(maps))
        result: Tensor = self.plain_norm(self.plain(maps))
        return result


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_035", "mobilenetv3_small_050"])
def test_a_folded_backbone_gives_the_same_maps_without_any_norm(name: str) -> None:
    torch.manual_seed(0)
    network, images = trained(Backbone(name, 16)), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(images)
    fold_batch_norms(network, images[:1])
    assert norms(network) == 0
    with torch.no_grad():
        for given, wanted in zip(network(images), expected, strict=True):
            scale = wanted.abs().max()
            assert_close(given / scale, wanted / scale, atol=1e-5, rtol=0)


def test_a_value_worked_out_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)).eval()
    convolution, norm = network
    with torch.no_grad():
        convolution.weight.fill_(3.0), convolution.bias.fill_(5.0)
        norm.running_mean.fill_(1.0), norm.running_var.fill_(4.0)
        norm.weight.fill_(6.0), norm.bias.fill_(7.0)
    fold_batch_norms(network, torch.zeros(1, 1, 2, 2))
    # 6 (3 x + 5 - 1) / 2 + 7 = 9 x + 19
    assert convolution.weight.item() == pytest.approx(9.0)
    assert convolution.bias.item() == pytest.approx(19.0)


def test_only_a_norm_that_alone_reads_a_convolution_is_folded() -> None:
    torch.manual_seed(0)
    network, images = trained(Awkward()), torch.rand(2, 3, 5, 7)
    with torch.no_grad():
        expected = network(images)
    runs = fold_batch_norms(network, images[:1])
    assert runs[network.shared] == 2
    assert norms(network) == 3
    assert isinstance(network.plain_norm, nn.Identity)
    with torch.no_grad():
        assert_close(network(images), expected)


def test_a_convolution_that_is_kept_keeps_its_output() -> None:
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    images = torch.rand(1, 3, 2, 2)
    with torch.no_grad():
        expected = network[0](images)
        fold_batch_norms(network, images, keep=[network[0]])
        assert_close(network[0](images), expected)


def test_a_norm_in_training_mode_is_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    fold_batch_norms(network, torch.rand(2, 3, 2, 2))
    assert norms(network) == 1
