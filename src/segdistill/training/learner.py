"""A learner: one student with its objective, optimiser and schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segdistill.checks import nearest
from segdistill.config import TrainingConfig
from segdistill.losses.maths.gather import processes, sum_over_processes
from segdistill.models.compiled import CompiledNetwork, compile_network
from segdistill.models.cuda_graphs import GraphedNetwork
from segdistill.models.layer_decay import layer_scales
from segdistill.models.sync_norms import synchronise_norms
from segdistill.models.taps import record, tap_paths
from segdistill.seeding import derive
from segdistill.training.adversary import Adversaries
from segdistill.training.objective import Objective
from segdistill.training.optim import (
    build_optimizer,
    fuse,
    learning_rate,
    restore_optimizer,
    set_learning_rate,
    step_unless,
)
from segdistill.training.quantizer import Quantizer
from segdistill.training.shared_draws import shared_draws
from segdistill.types import Batch, SegOutput, TapMaps


class StepLosses(NamedTuple):
    """Weighted losses of a step over the global batch, on the device.

    Attributes:
        names: parts of the objective, followed by those of the critics.
        values: one float64 for each name.
    """

    names: tuple[str, ...]
    values: Tensor


class Learner:
    """One student in training, with everything that a checkpoint holds.

    :func:`segdistill.training.cohort.train_step` runs its steps. All randomness of a step
    (dropout) is a function of the learner's seed and the step, so that a learner trains in the
    same way alone, in a cohort, and after a resume.

    Args:
        name: its name in logs and errors.
        network: the student.
        objective: the objective; its projectors are trained with the student.
        config: optimiser, schedule, seed.

    Attributes:
        losses: weighted losses of the step by part of the objective, followed by those of the
            critics; on the device.
        lost: whether a loss has not been finite so far, a bool on the device; nothing is updated
            from then on.
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
        paths = resolve_parts(network, (*config.freeze, *config.lr_scale))
        self._frozen = [network.get_submodule(paths[name]) for name in config.freeze]
        for part in self._frozen:
            part.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in network.parameters()):
            frozen = ", ".join(config.freeze) or "by its own code, or without parameters"
            raise ValueError(
                f"student: expected a part that trains, got all of it frozen ({frozen}); leave a "
                "part out of training.freeze"
            )
        self._quantizer = Quantizer(network) if config.quantize is not None else None
        self._steps = _Forward(network, objective, self._quantizer)
        self._forward: nn.Module = self._steps
        scales = {f"network.{paths[name]}": scale for name, scale in config.lr_scale.items()}
        layers = dict[str, float]()
        if config.layer_decay is not None:
            by_name = layer_scales(network, config.layer_decay)
            layers = {f"network.{name}": scale for name, scale in by_name.items()}
        self._optimizer: Any = build_optimizer(self._forward, config, scales, layers)
        self._rate = config.lr
        self._drawing = 0
        self.losses = StepLosses((), torch.empty(0, dtype=torch.float64))
        self.lost = torch.zeros((), dtype=torch.bool)
        self.runs_ahead = False

    def to_device(self, fabric: Fabric) -> None:
        """Move to the fabric's device; call once, before the first step."""
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if fabric.world_size > 1 and self.config.sync_batchnorm:
            # The parameters are the same objects, so the optimiser still has them.
            synchronise_norms(self._forward, fabric.device)
        self._forward, self._optimizer = fabric.setup(self._forward, self._optimizer)
        if self.averaged is not None:
            self.averaged.to(fabric.device)
            # The counter stays on the host, because every update reads it.
            self.averaged.n_averaged = self.averaged.n_averaged.cpu()
        self.lost = self.lost.to(fabric.device)
        # The gradient scaler of 16-mixed reads from the device in every step anyway.
        if fabric.device.type == "cuda" and self.config.precision != "16-mixed":
            self.run_ahead()

    def run_ahead(self) -> None:
        """Let the optimisers check on the device, not on the host, whether a loss is finite."""
        self.runs_ahead = True
        fuse(self._optimizer)
        self.adversaries.fuse()

    def compile(self, *, backend: str) -> CompiledNetwork:
        """Compile the network for steps, after :meth:`begin`; the next forward compiles.

        Args:
            backend: see :func:`segdistill.models.compiled.compile_network`.
        """
        compiled = compile_network(self.network, self.objective.taps(), backend=backend)
        self._steps.compiled = compiled
        return compiled

    def record_graphs(self, images: Tensor) -> GraphedNetwork:
        """Record the network's passes as CUDA graphs for steps, after :meth:`begin`.

        Args:
            images: float images of the shape to come.
        """
        graphed = GraphedNetwork(self.network, self.objective.taps(), images)
        self._steps.compiled = graphed
        return graphed

    def run_as_it_is(self) -> None:
        """Take back :meth:`compile` or :meth:`record_graphs`."""
        self._steps.compiled = None

    def begin(self, step: int) -> None:
        """Prepare for a step: training mode, the step's learning rate, no gradients."""
        self.network.train()
        self.objective.train()
        for part in self._frozen:
            part.eval()
        self._rate = learning_rate(step, self.config)
        set_learning_rate(self._optimizer, self._rate)
        self._optimizer.zero_grad()
        self.losses = StepLosses((), torch.empty(0, dtype=torch.float64, device=self.lost.device))

    def seed(self, step: int, part: int, fabric: Fabric) -> None:
        """Seed the random draws in one part of a step, such as dropout."""
        torch.manual_seed(derive(self.config.seed, "step", step, part, fabric.global_rank))
        self._drawing = derive(self.config.seed, "step", step, 0, 0)

    def without_sync(self, fabric: Fabric, *, enabled: bool) -> AbstractContextManager[None]:
        """Delay averaging gradients over the processes until the last part of the batch."""
        block: AbstractContextManager[None] = fabric.no_backward_sync(
            self._forward, enabled=enabled
        )
        return block

    def forward(
        self, images: Tensor, batch: Batch, teacher: TapMaps, whole: Batch | None
    ) -> dict[str, Tensor]:
        """Return every weighted term of the objective on a batch, or a part's share of it.

        Args:
            images: float RGB in [0, 1] ``(N, 3, H, W)``, channels last.
            batch: the same images as uint8, with labels and valid.
            teacher: the teacher's maps of these images.
            whole: this process's whole batch, or None if ``batch`` is all of it.
        """
        with shared_draws(self._drawing):
            losses: dict[str, Tensor] = self._forward(images, batch, teacher, whole)
        return losses

    def add_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Add the share of one part of the batch, over all processes, to the losses of the step.

        Args:
            losses: this process's losses by name; new names are appended.
        """
        if not losses:
            return
        values = torch.stack([loss.detach().double() for loss in losses.values()])
        values = sum_over_processes(values) / processes()[1]
        names, before = self.losses
        if names == tuple(losses):
            self.losses = StepLosses(names, before + values)
        else:
            self.losses = StepLosses((*names, *losses), torch.cat([before, values]))
        self.lost = self.lost | ~values.isfinite().all()

    def update(self, fabric: Fabric) -> None:
        """Step the student's optimiser, after clipping gradients if configured."""
        if self.config.clip_norm is not None:
            fabric.clip_gradients(
                self._forward,
                self._optimizer,
                max_norm=self.config.clip_norm,
                error_if_nonfinite=False,
            )
        step_unless(self.lost, self._optimizer)

    def unused(self) -> list[str]:
        """Return the student's parameters that the last backward pass did not reach."""
        return [
            name
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad and parameter.grad is None
        ]

    def update_critics(self) -> None:
        """Step the critics of adversarial losses."""
        self.adversaries.update(self._rate / self.config.lr, lost=self.lost)

    def update_average(self) -> None:
        """Update the averaged weights, if there are any."""
        if self.averaged is None or self.config.ema is None:
            return
        if self.averaged.n_averaged == 0:
            self.averaged.update_parameters(self.network)  # a copy
            return
        # The same as update_parameters, which would wait for a GPU to hand over its counter.
        self.averaged.n_averaged += 1
        _follow(self.averaged.module, self.network, self.config.ema)

    @property
    def result(self) -> nn.Module:
        """The network to score and export: the averaged one if there is one."""
        return self.network if self.averaged is None else self.averaged.module

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, as tensors and plain values."""
        state = {
            **self.state_of_losses(),
            "optimizer": self._optimizer.state_dict(),
            "adversaries": self.adversaries.state(),
        }
        if self.averaged is not None:
            state["averaged"] = self.averaged.state_dict()
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.restore_losses(state)
        restore_optimizer(self._optimizer, state["optimizer"])
        self.adversaries.restore(state["adversaries"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])

    def state_of_losses(self) -> dict[str, dict[str, Any]]:
        """Return the part of the state that the losses of the next step depend on.

        Optimisers act after the losses, and averaged weights are never trained; critics, their
        buffers and queues belong to the objective.
        """
        state = {"network": self.network.state_dict(), "objective": self.objective.state_dict()}
        if self._quantizer is not None:
            state["quantizer"] = self._quantizer.state_dict()
        return state

    def restore_losses(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_of_losses` returned."""
        self.network.load_state_dict(state["network"])
        self.objective.load_state_dict(state["objective"])
        if self._quantizer is not None:
            self._quantizer.load_state_dict(state["quantizer"])


def _average(network: nn.Module, decay: float) -> AveragedModel:
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


@torch.no_grad()
def _follow(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move averaged weights and buffers towards those of a network."""
    pairs = [
        *zip(averaged.parameters(), network.parameters(), strict=True),
        *zip(averaged.buffers(), network.buffers(), strict=True),
    ]
    floats = [(average, value) for average, value in pairs if average.is_floating_point()]
    torch._foreach_lerp_(
        [average for average, _ in floats], [value for _, value in floats], 1 - decay
    )
    for average, value in pairs:
        if not average.is_floating_point():
            average.copy_(average * decay + value * (1 - decay))


def resolve_parts(network: nn.Module, names: Sequence[str]) -> dict[str, str]:
    """Return the module paths of parts of a network, given as taps or module paths.

    Raises:
        ValueError: the network has no such part, or the part has no parameters.
    """
    taps = tap_paths(network)
    paths = {name: taps.get(name, name) for name in names}
    modules = dict(network.named_modules())
    for name, path in paths.items():
        if path not in modules or not path or not any(True for _ in modules[path].parameters()):
            raise ValueError(
                f"student: expected a tap or module path with parameters, got '{name}' in "
                f"training.freeze or training.lr_scale; {nearest(name, [*taps, *modules])} "
                "(segdistill list taps)"
            )
    return paths


class _Forward(nn.Module):
    """Network and objective as one module, so that Fabric wraps a single forward."""

    def __init__(
        self, network: nn.Module, objective: Objective, quantizer: Quantizer | None
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.quantizer = quantizer
        self.compiled: CompiledNetwork | GraphedNetwork | None = None

    def forward(
        self, images: Tensor, batch: Batch, teacher: TapMaps, whole: Batch | None
    ) -> dict[str, Tensor]:
        if self.compiled is not None:
            output, maps = self.compiled(images)
        else:
            with record(self.network, self.objective.taps()) as maps:
                output = self._predict(images)
        losses: dict[str, Tensor] = self.objective(output, maps, teacher, batch, whole)
        return losses

    def _predict(self, images: Tensor) -> SegOutput:
        if self.quantizer is None:
            output: SegOutput = self.network(images)
            return output
        rounded: SegOutput = self.quantizer(self.network, images)
        return rounded
