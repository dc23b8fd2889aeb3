"""The frozen teacher: the network's own maps, no side effects, no wasted layers."""

import copy
import warnings

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.errors import ConfigError
from segdistill.models import FrozenTeacher, build_network
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.taps import record

from .toys import trained

IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def teacher_network(network: str = "deeplabv3", backbone: str = "resnet18") -> nn.Module:
    settings = {"network": network, "backbone": backbone, "width": 16, "output_stride": 16}
    return trained(build_network(settings, classes=5, seed=0))


@pytest.mark.parametrize(
    ("network", "backbone"),
    [("deeplabv3", "resnet18"), ("lraspp", "mobilenetv3_small_050"), ("fcn", "mobilenetv2_035")],
)
def test_gives_the_networks_maps_to_a_hundred_thousandth(network: str, backbone: str) -> None:
    built = teacher_network(network, backbone)
    names = ["backbone", "head", "logits"]
    with record(built, names) as expected, torch.no_grad():
        built(IMAGES)
    maps = FrozenTeacher(built, names)(IMAGES)
    assert list(maps) == names
    for name in names:
        scale = expected[name].abs().max()
        assert_close(maps[name] / scale, expected[name] / scale, atol=1e-5, rtol=0)


def test_a_folded_norm_and_a_convolution_before_one_can_be_tapped() -> None:
    built = teacher_network()
    names = [f"backbone.body.layer4.1.{each}" for each in ("conv1", "bn1", "conv2", "bn2")]
    with record(built, names) as expected, torch.no_grad():
        built(IMAGES)
    maps = FrozenTeacher(built, names)(IMAGES)
    for name in names:
        scale = expected[name].abs().max()
        assert_close(maps[name] / scale, expected[name] / scale, atol=1e-5, rtol=0)


def test_the_callers_network_is_not_changed() -> None:
    built = teacher_network().train()
    before = copy.deepcopy(built.state_dict())
    FrozenTeacher(built, ["backbone"])(IMAGES)
    assert_close(built.state_dict(), before, atol=0, rtol=0)
    assert built.training
    assert all(each.requires_grad for each in built.parameters())


def test_nothing_runs_behind_the_deepest_tap() -> None:
    built = teacher_network()
    teacher = FrozenTeacher(built, ["backbone"])
    teacher(IMAGES)
    ran = []
    teacher.network.head.register_forward_hook(lambda *_: ran.append("head"))
    assert set(teacher(IMAGES)) == {"backbone"}
    assert ran == []


def test_a_loss_of_a_student_can_be_differentiated_through_the_maps() -> None:
    maps = FrozenTeacher(teacher_network(), ["head"])(IMAGES)["head"]
    student = torch.randn_like(maps).requires_grad_()
    # The product saves the teacher's map for the backward pass.
    (student * maps).sum().backward()
    assert_close(student.grad, maps)
    assert not maps.requires_grad
    assert not maps.is_inference()


def test_it_cannot_be_put_into_training_mode_unseen() -> None:
    teacher = FrozenTeacher(teacher_network(), ["logits"])
    teacher.train()
    assert not any(each.training for each in teacher.network.modules())
    teacher(IMAGES)
    teacher.network.head.train()
    with pytest.raises(ConfigError, match="every module in evaluation mode"):
        teacher(IMAGES)


def test_an_image_smaller_than_the_network_takes_is_still_refused() -> None:
    with pytest.raises(ValueError, match="at least 81 pixels"):
        FrozenTeacher(teacher_network("pspnet"), ["logits"])(torch.rand(1, 3, 64, 64))


class Repeats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1)
        self.never = nn.Conv2d(3, 3, 1)
        self.flat = nn.Flatten()

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.twice(self.twice(images))
        self.flat(maps)
        return maps


@pytest.mark.parametrize(
    ("taps", "message"),
    [
        ([], "at least one tap"),
        (["twic"], "did you mean 'twice'"),
        (["twice"], "runs once in a forward pass, got one that runs 2 times"),
        (["never"], "taps that run in a forward pass, got never"),
        (["flat"], "returns a map"),
    ],
)
def test_refuses_taps_that_give_no_single_map(taps: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrozenTeacher(Repeats(), taps)(IMAGES)


def test_hooks_are_gone_after_a_pass_that_failed() -> None:
    teacher = FrozenTeacher(teacher_network(), ["logits"])
    with pytest.raises(ValueError, match="float images"):
        teacher(IMAGES[:, :2])
    assert not any(each._forward_hooks for each in teacher.network.modules())
    assert not any(each._forward_pre_hooks for each in teacher.network.modules())


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.last(self.norm(self.convolution(images)))
        return result


class NormByAnotherWay(Pair):
    """A norm that the network also holds in a list, where folding cannot replace it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = [self.norm]

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.last(self.steps[0](self.convolution(images)))
        return result


class SkipsItsNorm(Pair):
    """A network that skips its norm on large images."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)
        result: Tensor = self.last(self.norm(maps) if images.shape[2] < 64 else maps)
        return result


class InsistsOnItsLayout(Pair):
    """A network that takes the layout in memory for granted."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.convolution(images))
        result: Tensor = self.last(maps.view(len(maps), -1).view(maps.shape))
        return result


class ReadsMemory(Pair):
    """A network that is silently wrong in another layout."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.convolution(images))
        n, channels, height, width = maps.shape
        stride = (channels * height * width, height * width, width, 1)
        result: Tensor = self.last(maps.as_strided((n, channels, height, width), stride))
        return result


class LeavesItselfHalfDone(Pair):
    """A network that is another one after a pass that was cut off."""

    begun = False

    def forward(self, images: Tensor) -> Tensor:
        factor, self.begun = (2 if self.begun else 1), True
        maps: Tensor = self.last(factor * self.norm(self.convolution(images)))
        self.begun = False
        return maps


SLOW, UNFOLDED = "all its layers run", "its batch norms are not folded"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Pair, []),
        (NormByAnotherWay, [UNFOLDED]),
        (SkipsItsNorm, [UNFOLDED]),
        (InsistsOnItsLayout, [SLOW]),
        (ReadsMemory, [SLOW]),
        (LeavesItselfHalfDone, [SLOW]),
    ],
)
def test_what_changes_a_map_is_not_done_and_said(kind: type[Pair], said: list[str]) -> None:
    torch.manual_seed(0)
    network = trained(kind())
    with record(network, ["last"]) as expected, torch.no_grad():
        network(IMAGES)
    teacher = FrozenTeacher(network, ["last"])
    sentences = teacher.prepare(IMAGES)
    assert len(sentences) == len(said)
    for sentence, part in zip(sentences, said, strict=True):
        assert part in sentence
    assert isinstance(teacher.network.norm, nn.BatchNorm2d) == (UNFOLDED in said)
    for _ in range(2):
        assert_close(teacher(IMAGES)["last"], expected["last"])
    assert teacher.prepare(IMAGES) == []


def test_a_pass_without_preparation_warns_of_what_was_not_done() -> None:
    teacher = FrozenTeacher(trained(NormByAnotherWay()), ["last"])
    with pytest.warns(RuntimeWarning, match=UNFOLDED):
        teacher(IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teacher(IMAGES)


class Swallows(Pair):
    """A network that hides the errors of its layers."""

    def forward(self, images: Tensor) -> Tensor | None:
        try:
            return super().forward(images)
        except Exception:
            return None


def test_a_network_that_swallows_errors_gives_its_maps() -> None:
    network = trained(Swallows())
    with record(network, ["last"]) as expected, torch.no_grad():
        network(IMAGES)
    assert_close(FrozenTeacher(network, ["last"])(IMAGES)["last"], expected["last"])


@pytest.mark.parametrize("name", ["mobileone_s0", "repvgg_a0", "densenet121"])
def test_foreign_families_give_every_tap_after_folding(name: str) -> None:
    body = timm.create_model(name, features_only=True, out_indices=(1, 2))
    torch.manual_seed(0)
    classes = body.feature_info.channels()[-1]
    first = next(path for path, module in body.named_modules() if type(module) is nn.Conv2d)
    built = Adapter(Last(trained(body)), classes, taps={"early": f"body.{first}"}).eval()
    with record(built, ["early", "logits"]) as expected, torch.no_grad():
        built(IMAGES)
    teacher = FrozenTeacher(built, ["early", "logits"])
    assert teacher.prepare(IMAGES) == []
    before, after = (
        sum(isinstance(each, nn.BatchNorm2d) for each in network.modules())
        for network in (built, teacher.network)
    )
    assert after < before
    for tap, maps in teacher(IMAGES).items():
        assert_close(
            maps / expected[tap].abs().max(),
            expected[tap] / expected[tap].abs().max(),
            atol=1e-5,
            rtol=0,
        )


class Last(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.body(images)[-1]
        return maps


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_is_proven_on_a_gpu_as_well() -> None:
    built = teacher_network().cuda()
    teacher = FrozenTeacher(built, ["logits"])
    with torch.autocast("cuda", torch.bfloat16):
        assert teacher.prepare(IMAGES.cuda()) == []
    assert not any(isinstance(each, nn.BatchNorm2d) for each in teacher.network.modules())
