"""Optimisers and learning-rate schedules, from the training section of a config."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from segdistill.config import TrainingConfig


def build_optimizer(module: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return the optimiser of all parameters that require a gradient.

    With ``decay_norms_and_biases: false`` parameters of one dimension (normalisation and
    biases) are not decayed.

    Args:
        module: what is trained; its order of parameters is the optimiser's.
        config: names the optimiser and its settings.
    """
    groups = _parameter_groups(module, config)
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum)
    return AdamW(groups, lr=config.lr)


def learning_rate(step: int, config: TrainingConfig) -> float:
    r"""Return the learning rate of one step.

    Warm-up is linear over ``warmup_steps`` and multiplies the schedule: ``poly`` is
    :math:`lr (1 - t/T)^{power}`, ``cosine`` is :math:`lr (1 + \cos(\pi t/T)) / 2`.

    Args:
        step: :math:`t`, from 0.
        config: gives :math:`T = ` ``steps`` and the schedule.
    """
    progress = step / config.steps
    factor = {
        "poly": math.pow(1 - progress, config.power),
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "constant": 1.0,
    }[config.schedule]
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return config.lr * factor * warmup


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every parameter group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _parameter_groups(module: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if config.decay_norms_and_biases:
        return [{"params": parameters, "weight_decay": config.weight_decay}]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
