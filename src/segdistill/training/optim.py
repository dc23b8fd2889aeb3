"""Optimisers and learning-rate schedules, from the training section of a config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from segdistill.config import TrainingConfig


def build_optimizer(
    module: nn.Module,
    config: TrainingConfig,
    scales: Mapping[str, float] | None = None,
    layers: Mapping[str, float] | None = None,
) -> Optimizer:
    """Return an optimiser of all parameters that require a gradient.

    With ``decay_norms_and_biases: false``, one-dimensional parameters (normalisation layers and
    biases) are not decayed.

    Args:
        module: the module to train; the optimiser keeps its order of parameters.
        config: names the optimiser and its settings.
        scales: factors of the learning rate by path in the module; the longest path that fits
            a parameter counts, and the factor is 1 if none fits.
        layers: further factors, by parameter name.
    """
    groups = _parameter_groups(module, config, scales or {}, layers or {})
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum)
    return (Adam if config.optimizer == "adam" else AdamW)(groups, lr=config.lr)


def learning_rate(step: int, config: TrainingConfig) -> float:
    r"""Return the learning rate of one step.

    Warm-up is linear over ``warmup_steps`` and multiplies the schedule: ``poly`` is
    :math:`lr (1 - t/T)^{power}`, ``cosine`` is :math:`lr (1 + \cos(\pi t/T)) / 2`,
    ``step`` is :math:`lr\, f^{\lfloor t/E \rfloor}`.

    Args:
        step: :math:`t`, from 0.
        config: gives :math:`T = ` ``steps``, :math:`E = ` ``step_every``, :math:`f = `
            ``step_factor`` and the schedule.
    """
    progress = step / config.steps
    factor = {
        "poly": math.pow(1 - progress, config.power),
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "step": math.pow(config.step_factor, step // (config.step_every or config.steps)),
        "constant": 1.0,
    }[config.schedule]
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return config.lr * factor * warmup


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the rate of every parameter group, multiplied by its factor if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)


def fuse(optimizer: Any) -> None:
    """Make an optimiser update its parameters in fused kernels; see :func:`step_unless`."""
    for group in optimizer.param_groups:
        group["fused"] = True


def step_unless(lost: Tensor, optimizer: Any) -> None:
    """Step an optimiser unless its learner diverged; a fused one checks that on the device.

    Args:
        lost: whether the learner diverged, a bool on the device.
        optimizer: the optimiser, or Fabric's wrapper of it.
    """
    if optimizer.param_groups[0].get("fused"):
        getattr(optimizer, "optimizer", optimizer).found_inf = lost.float()
        optimizer.step()
    elif not lost:
        optimizer.step()


def restore_optimizer(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Restore the state of an optimiser, possibly from another device; it stays fused or not."""
    groups = [
        {**saved, "fused": group.get("fused")}
        for saved, group in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({**state, "param_groups": groups})


def _parameter_groups(
    module: nn.Module,
    config: TrainingConfig,
    scales: Mapping[str, float],
    layers: Mapping[str, float],
) -> list[dict[str, Any]]:
    by_scale: dict[float, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            fitting = [path for path in scales if f"{name}.".startswith(f"{path}.")]
            scale = scales[max(fitting, key=len)] if fitting else 1.0
            scale *= layers.get(name, 1.0)
            by_scale.setdefault(scale, []).append(parameter)
    groups = list[dict[str, Any]]()
    for scale, parameters in by_scale.items():
        of_scale = {} if scale == 1.0 else {"scale": scale}
        if config.decay_norms_and_biases:
            groups.append({"params": parameters, "weight_decay": config.weight_decay, **of_scale})
            continue
        decayed = [parameter for parameter in parameters if parameter.ndim > 1]
        others = [parameter for parameter in parameters if parameter.ndim <= 1]
        groups.append({"params": decayed, "weight_decay": config.weight_decay, **of_scale})
        groups.append({"params": others, "weight_decay": 0.0, **of_scale})
    return [group for group in groups if group["params"]]
