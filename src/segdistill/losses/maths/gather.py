"""The images of all processes as one batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed

from segdistill.losses.maths.first_order import first_order
from segdistill.losses.maths.part import current_part
from segdistill.seeding import torch_generator


def processes() -> tuple[int, int]:
    """Return this process's rank and the number of processes, ``(0, 1)`` if it is the only one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gather_images(tensor: Tensor) -> Tensor:
    """Return the tensors of all processes, joined along the first dimension by rank.

    Gradient flows back to the process that each part came from, summed over the processes that used
    it. With a single process the result is the tensor itself.

    Args:
        tensor: of the same shape in every process.

    Shape:
        tensor ``(N, ...)``; result ``(processes · N, ...)``.
    """
    if processes()[1] == 1:
        return tensor
    gathered: Tensor = _Gather.apply(tensor)  # type: ignore[no-untyped-call]
    return gathered


def gather_batch(tensor: Tensor) -> Tensor:
    """Return :func:`gather_images` in the order of the global batch, however it is split."""
    part, gathered = current_part(), gather_images(tensor)
    if part is None or processes()[1] == 1:
        return gathered
    return gathered[gather_images(part.places).argsort()]


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; no gradient flows through it."""
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    if processes()[1] > 1:
        distributed.all_reduce(total)
    return total


def share_of_count(count: Tensor) -> Tensor:
    """Return a count over the global batch divided by the number of processes, never 0.

    A sum divided by it is this process's part of the global batch's mean: the mean of the parts
    over the processes, which is what data-parallel training takes, is the mean of the batch.

    Args:
        count: what this process's images contribute to the count.
    """
    world = processes()[1]
    return (sum_over_processes(count) / world).clamp_min(1 / world)


def draw_uniform(
    seed: int, purpose: str, *position: int, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Return uniform numbers from 0 to 1 for the current images, drawn for the global batch.

    Therefore what is drawn for an image does not depend on how the batch is split over processes or
    into parts; see :func:`segdistill.losses.maths.part.computing`.

    Args:
        seed: see :func:`segdistill.seeding.derive`.
        purpose: see :func:`segdistill.seeding.derive`.
        position: see :func:`segdistill.seeding.derive`; for example the step.
        shape: shape of the result, images first; the same in every process.
        device: device of the result; different kinds of devices draw different numbers.
    """
    generator = torch_generator(seed, purpose, *position, device=device)
    return _of_current(lambda size: torch.rand(size, generator=generator, device=device), shape)


def draw_normal(
    seed: int, purpose: str, *position: int, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Return numbers of mean 0 and deviation 1; otherwise as :func:`draw_uniform`."""
    generator = torch_generator(seed, purpose, *position, device=device)
    return _of_current(lambda size: torch.randn(size, generator=generator, device=device), shape)


def _of_current(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...]) -> Tensor:
    """Draw for all images of the global batch and return what belongs to the current ones."""
    rank, world = processes()
    part = current_part()
    images = world * shape[0] if part is None else part.images
    drawn = draw((images, *shape[1:]))
    if part is None:
        return drawn[rank * shape[0] : (rank + 1) * shape[0]]
    return drawn[part.places]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.images = len(tensor)
        tensor = tensor.contiguous()
        parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, tensor)
        return torch.cat(parts)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        total = upstream.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        start = distributed.get_rank() * ctx.images
        return total[start : start + ctx.images]
