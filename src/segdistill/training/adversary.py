"""Critics of adversarial losses: each stepped by an optimiser of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.nn import Parameter
from torch.optim import SGD, Adam, Optimizer

from segdistill.losses.holistic import Adversary
from segdistill.training.objective import Objective, Term


class Adversaries:
    """The critics of an objective, taught after the student in every step.

    A critic computes in full precision and outside the student's forward, so its gradient
    is averaged over the processes here.

    Args:
        objective: its adversarial terms are found by their ``adversary``.
    """

    def __init__(self, objective: Objective) -> None:
        self._critics = {
            name: _Critic(term, term.loss.adversary)
            for name, term in objective.terms.items()
            if term.adversarial
        }

    def backward(self, fabric: Fabric, *, part: int, parts: int) -> None:
        """Add the gradient of one part of the batch, from the maps that the student just met."""
        for critic in self._critics.values():
            critic.backward(fabric, part=part, parts=parts)

    def update(self, rate: float = 1.0) -> dict[str, float]:
        """Step every critic and return its loss over the whole batch, ``<term>.critic``.

        Args:
            rate: the student's learning rate in units of its first, for critics that follow.
        """
        return {f"{name}.critic": critic.update(rate) for name, critic in self._critics.items()}

    def state(self) -> dict[str, Any]:
        """Return the optimisers' states; the critics' weights are the objective's."""
        return {name: critic.optimizer.state_dict() for name, critic in self._critics.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state` returned."""
        for name, critic in self._critics.items():
            critic.optimizer.load_state_dict(state[name])


class _Critic:
    def __init__(self, term: Term, adversary: Adversary) -> None:
        self.term = term
        self.loss = adversary.loss
        # Frozen for the student's backward pass, its optimiser and its processes.
        self.parameters = list(adversary.critic.requires_grad_(False).parameters())
        self.optimizer = _optimizer(adversary, self.parameters)
        self.first_rate = adversary.learning_rate
        self.scheduled = adversary.scheduled
        self.value = 0.0

    def backward(self, fabric: Fabric, *, part: int, parts: int) -> None:
        if part == 0:
            self.optimizer.zero_grad()
            self.value = 0.0
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        loss = self.loss(*self.term.compared()) / parts
        torch.autograd.backward(loss)
        for parameter in self.parameters:
            parameter.requires_grad_(False)
            if fabric.world_size > 1 and part + 1 == parts and parameter.grad is not None:
                parameter.grad = fabric.all_reduce(parameter.grad)
        self.value += float(loss.detach())

    def update(self, rate: float) -> float:
        if self.scheduled:
            for group in self.optimizer.param_groups:
                group["lr"] = self.first_rate * rate
        self.optimizer.step()
        return self.value


def _optimizer(adversary: Adversary, parameters: list[Parameter]) -> Optimizer:
    rate, decay = adversary.learning_rate, adversary.weight_decay
    if adversary.optimizer == "sgd":
        return SGD(parameters, lr=rate, momentum=adversary.momentum, weight_decay=decay)
    return Adam(parameters, lr=rate, betas=adversary.betas, weight_decay=decay)
