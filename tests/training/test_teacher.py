"""A teacher knows something of what it is asked, or is the control."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segdistill import config
from segdistill.config import NetworkConfig
from segdistill.data import build_dataset
from segdistill.errors import ConfigError
from segdistill.models import Adapter
from segdistill.training.teacher import check_knows, examine, knows_classes

from .conftest import SMALL

NATIVE = {"network": "lraspp", "backbone": "mobilenetv2_035"}


def section(**settings: Any) -> NetworkConfig:
    tree = {**SMALL, "teacher": settings}
    checked = config.check(tree).teacher
    assert checked is not None
    return checked


@pytest.mark.parametrize(
    ("settings", "taps"),
    [
        ({**NATIVE, "weights": "t.safetensors"}, ["logits"]),
        ({**NATIVE, "pretrained": True}, ["backbone"]),
        ({**NATIVE, "backbone_weights": "b.safetensors"}, ["backbone"]),
        ({**NATIVE, "untrained": True}, ["logits"]),
        ({"network": "hf:folder"}, ["logits"]),
        ({"network": "hf:folder", "new_head": True, "pretrained": True}, ["backbone"]),
        ({"network": "import:a:b"}, ["logits"]),
        ({"network": "file:a.pt"}, ["logits"]),
        ({"network": "torchvision:fcn_resnet50", "args": {"weights": "DEFAULT"}}, ["logits"]),
    ],
)
def test_a_teacher_that_knows_what_it_is_asked_may_teach(
    settings: dict[str, Any], taps: list[str]
) -> None:
    check_knows(section(**settings), taps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (NATIVE, "got a randomly initialised network; set teacher.weights"),
        ({**NATIVE, "pretrained": True}, "a randomly initialised head and a loss on its logits"),
        (
            {**NATIVE, "backbone_weights": "b"},
            "a randomly initialised head and a loss on its logits",
        ),
        ({"network": "hf:folder", "pretrained": False}, "got a randomly initialised network"),
        ({"network": "hf:folder", "new_head": True}, "a randomly initialised head"),
        ({"network": "smp:unet", "pretrained": True}, "a randomly initialised head"),
        ({**NATIVE, "weights": "t", "untrained": True}, "expected no weights, got"),
    ],
)
def test_a_teacher_that_knows_nothing_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_knows(section(**settings), ["backbone", "logits"])


def test_an_untrained_control_has_the_hash_of_the_run_that_it_is() -> None:
    assert not knows_classes(section(**NATIVE, untrained=True))
    trees = [{**SMALL, "teacher": {**NATIVE, "untrained": each}} for each in (True, False)]
    assert len({config.check(tree).hash() for tree in trees}) == 1


class Says(nn.Module):
    """Gives one class everywhere."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label
        self.place = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), 11, *images.shape[2:])
        logits[:, self.label] = 5
        return logits


@pytest.mark.parametrize("label", range(11))
def test_one_class_everywhere_is_near_chance(label: int) -> None:
    dataset = build_dataset({"dataset": "scenes", "size": (48, 64), "val_images": 6}, split="val")
    knowledge = examine(
        Adapter(Says(label), 11), dataset, device=torch.device("cpu"), precision="32-true", images=4
    )
    assert knowledge.images == 4
    assert knowledge.near_chance
    assert knowledge.chance >= 1.5 / 21
