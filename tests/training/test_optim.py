"""Optimisers and schedules."""

import math

import pytest
import torch
from torch import nn

from segdistill.config import TrainingConfig
from segdistill.training.optim import build_optimizer, learning_rate


def config(**settings: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"steps": 100, "lr": 0.5} | settings)


def test_poly_is_the_published_schedule() -> None:
    rates = [learning_rate(step, config()) for step in (0, 50, 99)]
    assert rates == pytest.approx([0.5, 0.5 * 0.5**0.9, 0.5 * 0.01**0.9])


def test_cosine_ends_near_zero_and_constant_stays() -> None:
    assert learning_rate(50, config(schedule="cosine")) == pytest.approx(0.25)
    last = learning_rate(99, config(schedule="cosine"))
    assert last == pytest.approx(0.25 * (1 + math.cos(0.99 * math.pi)))
    assert learning_rate(99, config(schedule="constant")) == 0.5


def test_warm_up_is_linear_and_multiplies_the_schedule() -> None:
    warm = config(warmup_steps=10)
    assert learning_rate(0, warm) == pytest.approx(0.05)
    assert learning_rate(9, warm) == pytest.approx(learning_rate(9, config()))


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_norms_and_biases_are_decayed_only_where_asked(name: str, kind: type) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    everything = build_optimizer(module, config(optimizer=name))
    assert isinstance(everything, kind)
    assert [len(group["params"]) for group in everything.param_groups] == [4]
    apart = build_optimizer(module, config(optimizer=name, decay_norms_and_biases=False))
    shown = [(len(group["params"]), group["weight_decay"]) for group in apart.param_groups]
    assert shown == [(1, 5e-4), (3, 0.0)]


def test_what_needs_no_gradient_is_not_trained() -> None:
    module = nn.Conv2d(3, 4, 1)
    module.bias.requires_grad_(False)  # type: ignore[union-attr]
    assert len(build_optimizer(module, config()).param_groups[0]["params"]) == 1
