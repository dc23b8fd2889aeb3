"""A learner: one student with its objective, optimiser and schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segdistill.config import TrainingConfig
from segdistill.errors import TrainingDivergedError
from segdistill.models.taps import record
from segdistill.seeding import derive
from segdistill.training.adversary import Adversaries
from segdistill.training.objective import Objective
from segdistill.training.optim import build_optimizer, learning_rate, set_learning_rate
from segdistill.types import Batch, TapMaps


class Learner:
    """One student on its way: what a checkpoint holds and a cohort steps.

    A step is ``backward`` for every part of the batch, then ``update``. All randomness of a
    step (dropout) is a function of the learner's seed and the step, so a learner goes the
    same way alone, in a cohort, and after a resume.

    Args:
        name: what logs and errors call it.
        network: the student.
        objective: what it minimises; its projectors are trained with the student.
        config: optimiser, schedule, seed.
    """

    def __init__(
        self, name: str, network: nn.Module, objective: Objective, config: TrainingConfig
    ) -> None:
        self.name = name
        self.network = network
        self.objective = objective
        self.config = config
        self.averaged = _average(network, config.ema) if config.ema is not None else None
        self.adversaries = Adversaries(objective)  # freezes the critics, so it comes first
        self._forward: nn.Module = _Forward(network, objective)
        self._optimizer: Any = build_optimizer(self._forward, config)
        self._parts: dict[str, float] = {}

    def to_device(self, fabric: Fabric) -> None:
        """Move to the fabric's device; call once, before the first step."""
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward, self._optimizer = fabric.setup(self._forward, self._optimizer)
        if self.averaged is not None:
            self.averaged.to(fabric.device)

    def backward(
        self,
        fabric: Fabric,
        images: Tensor,
        batch: Batch,
        teacher: TapMaps,
        *,
        step: int,
        part: int,
        parts: int,
    ) -> None:
        """Add the gradient of one part of the batch.

        Args:
            fabric: the run's fabric.
            images: float RGB in [0, 1] ``(N, 3, H, W)``, channels last.
            batch: the same part as uint8 images, labels and valid.
            teacher: the teacher's maps of these images.
            step: the step, from 0.
            part: which part of the batch this is, from 0.
            parts: how many there are.

        Raises:
            TrainingDivergedError: a part of the loss is not finite; nothing was updated.
        """
        if part == 0:
            self.network.train()
            self.objective.train()
            set_learning_rate(self._optimizer, learning_rate(step, self.config))
            self._optimizer.zero_grad()
            self._parts = {}
        torch.manual_seed(derive(self.config.seed, "step", step, part, fabric.global_rank))
        with fabric.no_backward_sync(self._forward, enabled=part + 1 < parts):
            losses: dict[str, Tensor] = self._forward(images, batch, teacher)
            fabric.backward(torch.stack(list(losses.values())).sum() / parts)
        values = torch.stack([loss.detach().float() for loss in losses.values()]).tolist()
        for name, value in zip(losses, values, strict=True):
            if not math.isfinite(value):
                raise TrainingDivergedError(
                    f"learner {self.name or 'student'}: expected a finite loss, got {name} = "
                    f"{value} at step {step}; lower training.lr, or set training.clip_norm"
                )
            self._parts[name] = self._parts.get(name, 0.0) + value / parts
        self.adversaries.backward(fabric, part=part, parts=parts)

    def update(self, fabric: Fabric) -> dict[str, float]:
        """Step the optimiser, and the critics and averaged weights where there are any.

        Returns:
            The weighted loss of the whole batch by part.
        """
        if self.config.clip_norm is not None:
            fabric.clip_gradients(
                self._forward,
                self._optimizer,
                max_norm=self.config.clip_norm,
                error_if_nonfinite=False,
            )
        self._optimizer.step()
        rate = self._optimizer.param_groups[0]["lr"] / self.config.lr
        self._parts |= self.adversaries.update(rate)
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return self._parts

    @property
    def result(self) -> nn.Module:
        """The network that is scored and exported: the averaged one where there is one."""
        return self.network if self.averaged is None else self.averaged.module

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, as tensors and plain values."""
        state = {
            "network": self.network.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "adversaries": self.adversaries.state(),
        }
        if self.averaged is not None:
            state["averaged"] = self.averaged.state_dict()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state` returned."""
        self.network.load_state_dict(state["network"])
        self.objective.load_state_dict(state["objective"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.adversaries.restore(state["adversaries"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])


def _average(network: nn.Module, decay: float) -> AveragedModel:
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


class _Forward(nn.Module):
    """Network and objective as one module, so that precision and processes see one forward."""

    def __init__(self, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, images: Tensor, batch: Batch, teacher: TapMaps) -> dict[str, Tensor]:
        with record(self.network, self.objective.taps()) as maps:
            output = self.network(images)
        losses: dict[str, Tensor] = self.objective(output, maps, teacher, batch)
        return losses
