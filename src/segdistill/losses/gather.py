"""The images of all processes as one batch."""

from typing import Any

import torch
from torch import Tensor, distributed

from segdistill.losses.first_order import first_order


def processes() -> tuple[int, int]:
    """Return this process's rank and the number of processes, ``(0, 1)`` for one alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gather_images(tensor: Tensor) -> Tensor:
    """Return the tensors of all processes, joined along the first dimension by rank.

    Gradient flows back to the process that a part came from, summed over the processes that
    used it. In a process alone it is the tensor itself.

    Args:
        tensor: of the same shape in every process.

    Shape:
        tensor ``(N, ...)``; result ``(processes · N, ...)``.
    """
    if processes()[1] == 1:
        return tensor
    gathered: Tensor = _Gather.apply(tensor)  # type: ignore[no-untyped-call]
    return gathered


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
