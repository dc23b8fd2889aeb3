"""Padding in an objective: left out unless the term says that it counts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.catalogue.losses import LOSSES
from segdistill.config.loading import check_tree
from segdistill.errors import ConfigError
from segdistill.losses import channelwise_kl, layer_angular, pixelwise_kl
from segdistill.training.objective import build_objective
from segdistill.types import Batch, SegOutput

SIZE = (6, 8)


def part(loss: str, **settings: object) -> Tensor:
    """Return the value of one term on maps whose last three columns are padding."""
    tap = LOSSES[loss].tap
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": loss, "weight": 1.0, **settings}],
        "training": {"steps": 1},
    }
    objective = build_objective(
        check_tree(tree).distill,
        student_channels={tap: 3},
        teacher_channels={tap: 3},
        classes=3,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        seed=0,
    )
    student, teacher = maps()
    labels = torch.zeros(2, *SIZE, dtype=torch.int64)
    batch = Batch(torch.zeros(2, 3, *SIZE, dtype=torch.uint8), labels, valid())
    value = objective(SegOutput(student), {tap: student}, {tap: teacher}, batch)[loss]
    assert isinstance(value, Tensor)
    return value


def maps() -> tuple[Tensor, Tensor]:
    student, teacher = torch.randn(2, 2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    return student, teacher


def valid() -> Tensor:
    mask = torch.ones(2, *SIZE, dtype=torch.bool)
    mask[:, :, -3:] = False
    return mask


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("pixelwise_kl", pixelwise_kl),
        ("channelwise_kl", channelwise_kl),
        ("layer_angular", layer_angular),
    ],
)
def test_padding_is_masked_unless_it_is_counted(name: str, function: Callable[..., Tensor]) -> None:
    student, teacher = maps()
    assert_close(part(name), function(student[..., :-3], teacher[..., :-3]))
    assert_close(part(name, padding="masked"), part(name))
    assert_close(part(name, padding="counted"), function(student, teacher))
    assert not torch.isclose(part(name), part(name, padding="counted"))


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="padding"):
        part("pixelwise_kl", padding="ignored")
