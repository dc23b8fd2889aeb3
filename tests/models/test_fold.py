"""Folding: the same function with fewer layers, and only where it is safe."""

import gc
from collections.abc import Callable

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.testing import assert_close

from segdistill.models import build_network
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
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.25)).eval()
    convolution, norm = network
    with torch.no_grad():
        convolution.weight.fill_(3.0), convolution.bias.fill_(5.0)
        norm.running_mean.fill_(1.0), norm.running_var.fill_(3.75)
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
    gone = fold_batch_norms(network, images[:1])
    assert gone == 1
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


def timm_network(name: str) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=16)


def own(name: str) -> Callable[[], nn.Module]:
    return lambda: build_network({"network": name}, classes=5, seed=0)


# Family, how to build it, norms in it, norms that only follow a convolution.
FAMILIES: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    **{
        name: (timm_network(name), count, foldable)
        for name, count, foldable in [
            ("resnet10t", 14, 14),
            ("mobilenetv2_035", 52, 52),
            ("mobilenetv3_small_050", 34, 34),
            ("efficientnet_lite0", 49, 49),
            ("regnetx_002", 44, 44),
            ("ghostnet_050", 80, 80),
            ("hrnet_w18_small", 91, 91),
            # Branches that are norms alone stay, as do norms before their convolution.
            ("mobileone_s0", 226, 191),
            ("repvgg_a0", 61, 44),
            ("resnetv2_50", 49, 32),
            ("densenet121", 121, 59),
            ("convnext_atto", 0, 0),
        ]
    },
    "smp Linknet": (lambda: smp.Linknet("resnet18", encoder_weights=None, classes=5), 35, 35),
    "smp Unet": (lambda: smp.Unet("resnet18", encoder_weights=None, classes=5), 30, 30),
    "espnet": (own("espnet"), 21, 4),
    "espnet_c": (own("espnet_c"), 16, 1),
}


def logits(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        output = network(images)
    return output if isinstance(output, Tensor) else output.logits


QUICK = {"resnet10t", "mobilenetv2_035", "mobileone_s0", "smp Unet", "espnet"}


@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.long) for name in FAMILIES],
)
def test_families_give_the_same_logits_however_memory_is_reused(family: str) -> None:
    build, count, foldable = FAMILIES[family]
    for seed in range(3):
        torch.manual_seed(seed)
        network, images = trained(build(), seed), torch.rand(1, 3, 64, 96)
        expected = logits(network, images)
        assert norms(network) == count
        gc.collect()
        assert fold_batch_norms(network, images) == foldable
        assert norms(network) == count - foldable
        error = (logits(network, images) - expected).abs().max() / expected.abs().max()
        assert error < 1e-5


class NormsFirst(nn.Module):
    """Norms after a concatenation, whose input dies and leaves its id to the convolution after."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(20))
        self.convolutions = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(20))

    def forward(self, maps: Tensor) -> Tensor:
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            maps = convolution(norm(torch.cat([maps], dim=1)).relu())
        return maps


def test_a_dead_tensor_is_never_taken_for_a_later_one() -> None:
    network, images = trained(NormsFirst()), torch.rand(1, 3, 8, 8)
    for _ in range(20):
        assert fold_batch_norms(network, images) == 0


class Pair(nn.Module):
    """A convolution and its norm, to be used in unusual ways."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        result: Tensor = self.norm(self.convolution(images))
        return result


class CalledTwice(Pair):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(self.convolution(images)))


class NormTwice(Pair):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.norm(self.convolution(images)))


class ChangedInPlace(Pair):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images).relu_())


class Returned(Pair):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.convolution(images)
        return maps, self.norm(maps)


class ReadsTheWeight(Pair):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)) + self.convolution.weight.sum()


class ReadsTheStatistics(Pair):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.convolution(images)) + self.norm.running_mean.sum()


class Tied(Pair):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 3, 1)
        self.other.weight = self.convolution.weight

    def forward(self, images: Tensor) -> Tensor:
        return self.other(self.norm(self.convolution(images)))


def normed_weight() -> nn.Module:
    network = Pair()
    weight_norm(network.convolution)
    return network


def old_normed_weight() -> nn.Module:
    network = Pair()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(network.convolution)
    return network


def hooked() -> nn.Module:
    network = Pair()
    network.convolution.register_forward_hook(lambda _module, _inputs, output: output * 2)
    return network


def grouped_transposed() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(3, 6, 2, groups=3), nn.BatchNorm2d(6))


@pytest.mark.parametrize(
    "build",
    [
        CalledTwice,
        NormTwice,
        ChangedInPlace,
        Returned,
        ReadsTheWeight,
        ReadsTheStatistics,
        Tied,
        normed_weight,
        old_normed_weight,
        hooked,
        grouped_transposed,
    ],
)
def test_whatever_is_used_in_another_way_is_left_alone(build: Callable[[], nn.Module]) -> None:
    network, images = trained(build()), torch.rand(1, 3, 5, 7)
    with torch.no_grad():
        expected = network(images)
        assert fold_batch_norms(network, images) == 0
        assert_close(network(images), expected, atol=0, rtol=0)


class TwoNames(Pair):
    """A norm that its parent knows by two names and runs once."""

    def __init__(self) -> None:
        super().__init__()
        self.alias = self.norm

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.alias(self.convolution(images))
        return result


def transposed() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4))


@pytest.mark.parametrize("build", [Pair, TwoNames, transposed])
def test_a_plain_pair_is_folded(build: Callable[[], nn.Module]) -> None:
    network, images = trained(build()), torch.rand(1, 3, 5, 7)
    with torch.no_grad():
        expected = network(images)
        assert fold_batch_norms(network, images) == 1
        assert norms(network) == 0
        assert_close(network(images), expected)


def test_a_wrapper_that_is_kept_keeps_its_output() -> None:
    network = trained(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.BatchNorm2d(4)))
    images = torch.rand(1, 3, 2, 2)
    with torch.no_grad():
        expected = network[0](images)
        assert fold_batch_norms(network, images, keep=[network[0]]) == 0
        assert_close(network[0](images), expected)
