"""Channel memory (CIRKDv2): match how channels relate to channels of earlier images."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.gather import draw_uniform, gather_batch, share_of_count
from segdistill.losses.maths.part import ends_step
from segdistill.losses.maths.pooling import mean_grid
from segdistill.losses.maths.positions import valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.relations import relation_kl
from segdistill.losses.maths.unit import unit
from segdistill.losses.modules.memory import ClassQueue
from segdistill.losses.modules.steps import StepCount
from segdistill.types import Batch


class ChannelMemory(nn.Module):
    r"""Compare channels with a queue of the teacher's channels that both networks share.

    With :math:`F_n` the :math:`C` channels of image :math:`n`, averaged over a grid of cells and
    each divided by its norm, and :math:`V` unit channels drawn from the queue,

    .. math::
        L = \frac{1}{N C} \sum_{n, c} \mathrm{KL}\big(
            \sigma(F_n^y V^T / \tau)[c] \,\|\, \sigma(F_n^x V^T / \tau)[c] \big).

    Channels are drawn from the batch of all processes and pushed before contrasts are drawn, as in
    the authors' code; in evaluation mode nothing is pushed. The grid has the same cells whatever
    the size of the map. The queue and the step are part of the ``state_dict`` and are the same in
    every process. Given a batch, it leaves out the positions that augmentation padded. No gradient
    reaches the teacher. Half precision is compared in float32. Apart from one gradient of the map,
    everything has the size of the grid. It is not twice differentiable.

    Args:
        temperature: :math:`\tau`, unitless.
        grid: rows and columns of the grid.
        queue: channels kept; the oldest is overwritten first.
        pushed: channels of the teacher pushed per step, drawn from those of the batch.
        contrasts: channels drawn per step; no more than ``queue``.
        seed: seed of the initial queue and of all draws.

    Shape:
        student, teacher ``(N, C, H, W)``; result ``()``.

    Returns:
        The loss in nats, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape, or a setting is out of range.

    Source:
        CIRKDv2 in winycg/CIRKD (README of August 2025, no licence): queue 10 000, 256 pushed, 2 048
        drawn, temperature 0.1, weight 0.1. There the length of a channel is that of the training
        crop pooled by 4, so no other crop size can be used afterwards, and the end of the queue is
        overwritten early; here the grid is fixed (16×32 is 512×1024 at stride 8, pooled by 4) and
        the queue wraps.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        grid: tuple[int, int] = (16, 32),
        queue: int = 10000,
        pushed: int = 256,
        contrasts: int = 2048,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("ChannelMemory", temperature=temperature, pushed=pushed, contrasts=contrasts)
        if max(pushed, contrasts) > queue:
            raise ValueError(
                f"ChannelMemory: expected a queue of at least {max(pushed, contrasts)} channels, "
                f"got {queue}; enlarge it, or push and draw fewer"
            )
        self.temperature = temperature
        self.grid = (grid[0], grid[1])
        self.pushed = pushed
        self.contrasts = contrasts
        self.seed = seed
        self.queue = ClassQueue(1, grid[0] * grid[1], queue, seed)
        self.steps = StepCount()

    @without_autocast
    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        check_same_maps("ChannelMemory", student=student, teacher=teacher)
        valid = valid_at(batch, student)
        student, teacher = full_precision(student, teacher.detach())
        student, teacher = (self._channels(x, valid) for x in (student, teacher))
        counted = torch.ones_like(student[:, 0])
        if valid is not None:
            some = valid.flatten(start_dim=1).any(dim=1, keepdim=True)
            counted = counted * some.to(counted.dtype)
        step = self.steps.value
        if self.training:
            self._push(teacher, counted, step)
        drawn = self.queue.draw(self.contrasts, seed=self.seed, step=step)
        contrast = drawn.to(student.dtype).mT[None]
        if self.training and ends_step():
            self.steps.value += 1
        return relation_kl(
            student,
            teacher,
            contrasts=(contrast, contrast),
            weights=counted / share_of_count(counted.sum()),
            temperature=self.temperature,
        )

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, pushed={self.pushed}, contrasts={self.contrasts}"

    def _channels(self, maps: Tensor, valid: Tensor | None) -> Tensor:
        """Return unit channels as columns, ``(N, cells, C)``."""
        cells = mean_grid(maps, self.grid, valid).flatten(start_dim=2)
        return unit(cells, dim=2).mT.contiguous()

    @torch.no_grad()
    def _push(self, teacher: Tensor, counted: Tensor, step: int) -> None:
        """Push channels drawn from those of the global batch that belong to an image."""
        keys = draw_uniform(
            self.seed, "channels", step, shape=tuple(counted.shape), device=teacher.device
        )
        keys = gather_batch(keys * counted).flatten()
        channels = gather_batch(teacher).mT.flatten(end_dim=1)
        best = keys.topk(min(self.pushed, len(keys)))
        self.queue.push(channels[best.indices][None], (best.values > 0).sum()[None])
