"""The frozen teacher: the network's own maps, no side effects, no wasted layers."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models import FrozenTeacher, build_network
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
    with pytest.raises(RuntimeError, match="every module in evaluation mode"):
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
