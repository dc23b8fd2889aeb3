"""Several teachers as one: the mean of their probabilities, and the maps of each."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models import Adaptation, Adapter, FrozenTeacher, build_network
from segdistill.models.ensemble import Ensemble
from segdistill.models.taps import describe, tap_paths
from segdistill.models.weights import save_network
from segdistill.types import SegOutput

from .toys import trained


class Constant(nn.Module):
    """Gives the same logits at every position."""

    def __init__(self, *logits: float, stride: int = 8) -> None:
        super().__init__()
        self.taps = {"logits": "answer"}
        self.answer = nn.Identity()
        self.stride = stride
        self.register_buffer("values", torch.tensor(logits).reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> SegOutput:
        height, width = (side // self.stride for side in images.shape[2:])
        values = self.get_buffer("values")
        return SegOutput(self.answer(values.expand(len(images), -1, height, width)))


def answer(*members: nn.Module, size: tuple[int, int] = (16, 24)) -> Tensor:
    logits: Tensor = Ensemble(members)(torch.rand(2, 3, *size)).logits
    return logits


def test_probabilities_are_averaged() -> None:
    # 3:1 and 1:3 are 1:1 together; logits would be too, but not those of 3:1 and 1:1.
    both = answer(Constant(math.log(3.0), 0.0), Constant(5.0, 5.0))
    assert_close(both.exp()[0, :, 0, 0], torch.tensor([0.625, 0.375]))
    assert both.shape == (2, 2, 2, 3)


def test_coarser_logits_are_resized_to_the_finest() -> None:
    both = answer(Constant(math.log(3.0), 0.0, stride=16), Constant(5.0, 5.0, stride=4))
    assert both.shape == (2, 2, 4, 6)
    assert_close(both.exp()[0, 0], torch.full((4, 6), 0.625))


@pytest.mark.parametrize("stride", [8, 16])
def test_a_class_that_one_excludes_is_the_others_and_one_that_all_exclude_has_none(
    stride: int,
) -> None:
    excluded = -math.inf
    both = answer(
        Constant(0.0, excluded, excluded, stride=stride), Constant(0.0, 0.0, excluded)
    ).exp()
    assert_close(both[0, :, 0, 0], torch.tensor([0.75, 0.25, 0.0]))


def test_one_for_logits_and_one_for_features() -> None:
    features = Adapter(
        nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1)),
        2,
        Adaptation(output_is="features"),
        taps={"backbone": "0"},
    )
    classes = Constant(2.0, -1.0)
    teacher = Ensemble([classes, features])
    maps = FrozenTeacher(teacher, ["logits", "members.1.backbone"])(torch.rand(2, 3, 16, 24))
    assert_close(maps["logits"][0, :, 0, 0], torch.tensor([2.0, -1.0]))
    assert maps["members.1.backbone"].shape == (2, 6, 4, 6)
    assert "logits" not in tap_paths(Ensemble([features, features]))


class Small(nn.Module):
    """Stands for a network of one's own."""

    def __init__(self, width: int = 4, stride: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, stride, 1), nn.BatchNorm2d(width))
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images))
        return logits


def section(**settings: object) -> dict[str, Any]:
    return {"network": f"import:{__name__}:Small", "taps": {"backbone": "body"}, **settings}


def test_members_keep_their_weights_and_classes_are_compared_by_name(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    members = []
    for place, args in enumerate(({"stride": 4}, {"stride": 8, "width": 6})):
        file = tmp_path / f"{place}.safetensors"
        network = build_network(section(args=args), classes=3, seed=place)
        stored = trained(network).half() if place else trained(network)
        save_network(file, stored, {"classes": ["b", "a", "c"] if place else names})
        order = {"class_map": names} if place else {}
        members.append(section(args=args, weights=str(file), **order))
    said: list[str] = []
    settings = {"network": "ensemble", "members": members, "taps": {"early": "members.1.backbone"}}
    teacher = build_network(settings, classes=3, class_names=names, tell=said.append).eval()
    assert [re.search("half precision", each) is not None for each in said] == [False, False, True]
    assert said[2].startswith("members.1: ")
    images = torch.rand(1, 3, 32, 48)
    first, second = (build_network(each, classes=3, class_names=names).eval() for each in members)
    with torch.no_grad():
        fine = first(images).logits.softmax(1)
        coarse = nn.functional.interpolate(second(images).logits, fine.shape[2:], mode="bilinear")
        assert_close(teacher(images).logits, ((fine + coarse.softmax(1)) / 2).log())
    shapes = describe(teacher, ["backbone", "early", "logits"], (32, 48))
    assert [(each.channels, each.stride) for each in shapes.values()] == [(4, 4), (6, 8), (3, 4)]


def test_folding_and_stopping_early_are_proven_of_an_ensemble() -> None:
    members = [section(args={"width": 4}), section(args={"width": 6})]
    teacher = build_network({"network": "ensemble", "members": members}, classes=3, seed=0)
    frozen = FrozenTeacher(trained(teacher), ["logits", "members.1.backbone"])
    images = torch.rand(1, 3, 32, 48)
    assert frozen.prepare(images) == []
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    with torch.no_grad():
        assert_close(frozen(images)["logits"], teacher(images).logits, atol=1e-4, rtol=1e-4)


def test_members_of_one_architecture_start_from_different_weights() -> None:
    teacher = build_network({"network": "ensemble", "members": [section()] * 2}, classes=3, seed=0)
    first, second = (member.network.head.weight for member in teacher.members)
    assert not torch.equal(first, second)
