"""The state that a network is in: its device, and the mode of each of its modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's weights, the CPU where it has neither weights nor buffers.

    Args:
        network: all of whose weights are on one device.
    """
    import torch

    for tensor in chain(network.parameters(), network.buffers()):
        return tensor.device
    return torch.device("cpu")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Hold a network in evaluation mode, then give every module back the mode that it had.

    Args:
        network: its modules may be in different modes, such as a frozen batch norm.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
