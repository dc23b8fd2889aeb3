"""Critics of adversarial losses, each with its own optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adam, Optimizer

from segdistill.losses.holistic import Adversary
from segdistill.training.objective import Objective
from segdistill.training.optim import fuse, restore_optimizer, step_unless
from segdistill.training.term import Term


class Adversaries:
    """The critics of an objective, trained after the student in every step.

    A critic computes in full precision and outside the student's forward, so its gradients are
    averaged over the processes here.

    Args:
        objective: the objective; terms whose loss has an ``adversary`` are adversarial.
    """

    def __init__(self, objective: Objective) -> None:
        self._critics = {
            name: _Critic(term, term.loss.adversary)
            for name, term in objective.terms.items()
            if term.adversarial
        }

    def begin_part(self, *, first: bool) -> None:
        """Prepare for the forward of one part of the batch.

        Every part starts with the buffers from the start of the step, because spectral norm
        refines its estimate with each forward and a step in parts has more of them.
        """
        for critic in self._critics.values():
            critic.begin_part(first=first)

    def backward(self, fabric: Fabric, *, share: float, first: bool, last: bool) -> None:
        """Add the gradients of one part of the batch, from the maps just compared.

        Args:
            fabric: processes.
            share: share of the batch's images that is in this part.
            first: whether it is the first part of the step.
            last: whether it is the last part of the step.
        """
        for critic in self._critics.values():
            critic.backward(fabric, share=share, first=first, last=last)

    def losses(self) -> dict[str, Tensor]:
        """Return the loss of every critic over this process's batch, as ``<term>.critic``."""
        return {f"{name}.critic": critic.value for name, critic in self._critics.items()}

    def update(self, rate: float, *, lost: Tensor) -> None:
        """Step every critic.

        Args:
            rate: the student's learning rate relative to its initial value, for critics with
                the same schedule.
            lost: whether the learner diverged; its critics are not stepped then.
        """
        for critic in self._critics.values():
            critic.update(rate, lost)

    def fuse(self) -> None:
        """Let every optimiser check on the device whether to step."""
        for critic in self._critics.values():
            fuse(critic.optimizer)

    def state(self) -> dict[str, Any]:
        """Return the optimisers' states; the critics' weights belong to the objective."""
        return {name: critic.optimizer.state_dict() for name, critic in self._critics.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        for name, critic in self._critics.items():
            restore_optimizer(critic.optimizer, state[name])


class _Critic:
    def __init__(self, term: Term, adversary: Adversary) -> None:
        self.term = term
        self.loss = adversary.loss
        # Frozen for the student's backward pass, its optimiser and its processes.
        self.parameters = list(adversary.critic.requires_grad_(False).parameters())
        self.buffers = adversary.critic.buffers
        self.buffers_before = list[Tensor]()
        self.optimizer = _optimizer(adversary, self.parameters)
        self.first_rate = adversary.learning_rate
        self.scheduled = adversary.scheduled
        self.value = torch.zeros((), dtype=torch.float64)

    def begin_part(self, *, first: bool) -> None:
        if first:
            self.buffers_before = [buffer.clone() for buffer in self.buffers()]
            return
        for buffer, before in zip(self.buffers(), self.buffers_before, strict=True):
            buffer.copy_(before)

    def backward(self, fabric: Fabric, *, share: float, first: bool, last: bool) -> None:
        if first:
            self.optimizer.zero_grad()
            self.value = torch.zeros_like(self.value)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        loss = self.loss(*self.term.compared()) * share
        torch.autograd.backward(loss)
        for parameter in self.parameters:
            parameter.requires_grad_(False)
            if fabric.world_size > 1 and last and parameter.grad is not None:
                parameter.grad = fabric.all_reduce(parameter.grad)
        self.value = self.value.to(loss.device) + loss.detach()

    def update(self, rate: float, lost: Tensor) -> None:
        if self.scheduled:
            for group in self.optimizer.param_groups:
                group["lr"] = self.first_rate * rate
        step_unless(lost, self.optimizer)


def _optimizer(adversary: Adversary, parameters: list[Parameter]) -> Optimizer:
    rate, decay = adversary.learning_rate, adversary.weight_decay
    if adversary.optimizer == "sgd":
        return SGD(parameters, lr=rate, momentum=adversary.momentum, weight_decay=decay)
    return Adam(parameters, lr=rate, betas=adversary.betas, weight_decay=decay)
