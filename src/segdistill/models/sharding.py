"""A frozen network whose weights are shared out over processes, for one too large for a device.

Each process keeps a part of every weight; those of a block are gathered while it runs, and let
go after it. So a device stores its part of the whole and one block.
"""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

BLOCK = 2**23
"""Maximum weights of a block, 32 MiB in float32; an indivisible one may have more."""


def shard(network: nn.Module, device: torch.device) -> None:
    """Share out the weights of a frozen network over all processes, block by block.

    Args:
        network: the same in every process, on the CPU; changed in place, and on ``device`` after.
        device: of this process.

    Raises:
        ValueError: it is a compiled program, whose weights cannot be divided.
    """
    if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
        raise ValueError(
            "teacher.shard: expected a network of Python modules, got a compiled program; leave "
            "teacher.shard out"
        )
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()  # in rows, which is what is divided
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for block in [*_blocks(network), network]:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)


def _blocks(module: nn.Module) -> list[nn.Module]:
    """Return the modules below one that are gathered by themselves, the innermost first."""
    blocks: list[nn.Module] = []
    for child in module.children():
        weights = sum(parameter.numel() for parameter in child.parameters())
        if weights > BLOCK or _has_no_forward(child):
            blocks += _blocks(child)
        if weights and not _has_no_forward(child):
            blocks.append(child)
    return blocks


def _has_no_forward(module: nn.Module) -> bool:
    return isinstance(module, nn.ModuleList | nn.ModuleDict)
