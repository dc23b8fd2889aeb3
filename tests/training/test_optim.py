"""Optimisers and schedules."""

import math

import pytest
import torch
from torch import nn
from torch.optim import Adam

from segdistill.config import TrainingConfig
from segdistill.training.optim import build_optimizer, learning_rate, set_learning_rate


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


def test_step_falls_by_its_factor_again_and_again() -> None:
    settings = config(schedule="step", step_every=40, step_factor=0.5)
    rates = [learning_rate(step, settings) for step in (0, 39, 40, 79, 80, 99)]
    assert rates == pytest.approx([0.5, 0.5, 0.25, 0.25, 0.125, 0.125])


def test_adam_takes_its_settings() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), config(optimizer="adam", weight_decay=0.25))
    assert type(optimizer) is Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)


def test_parts_have_their_own_factor_of_the_rate_and_the_longest_path_counts() -> None:
    module = nn.ModuleDict(
        {"a": nn.Linear(2, 2), "b": nn.Sequential(nn.Linear(2, 2)), "ab": nn.Linear(2, 2)}
    )
    optimizer = build_optimizer(module, config(), {"a": 10.0, "b": 2.0, "b.0": 3.0})
    set_learning_rate(optimizer, 0.1)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    found = {name: rates[id(parameter)] for name, parameter in module.named_parameters()}
    assert found == pytest.approx(
        {
            "a.weight": 1.0,
            "a.bias": 1.0,
            "b.0.weight": 0.3,
            "b.0.bias": 0.3,
            "ab.weight": 0.1,
            "ab.bias": 0.1,
        }
    )
