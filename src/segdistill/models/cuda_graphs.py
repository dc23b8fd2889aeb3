"""CUDA graphs: a student's forward and backward as one launch each, for networks of small kernels.

The kernels of a small student take less time than their launches. A graph records both passes once
and repeats them for the cost of one launch each; the numbers are those of the same kernels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from segdistill.models.taps import record
from segdistill.types import SegOutput, TapMaps


class GraphedNetwork:
    """A network and the maps of some of its taps, recorded at the first images.

    Images must keep that size. The network's own code runs only while it is recorded, so it may
    not depend on values or draw from another generator than the device's default one.

    Args:
        network: a network in training mode, on a GPU; its buffers are left as they were.
        taps: the taps whose maps are given.
        images: float images like those to come, ``(N, 3, H, W)``.

    Raises:
        RuntimeError: the network cannot be recorded.
    """

    def __init__(self, network: nn.Module, taps: Iterable[str], images: Tensor) -> None:
        self._taps = list(taps)
        whole = _Flat(network, self._taps)
        before = [buffer.clone() for buffer in network.buffers()]
        cached = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)  # a cast is part of the graph
        try:
            like_them = images.clone(memory_format=torch.preserve_format)
            self._run: Any = torch.cuda.make_graphed_callables(
                whole, (like_them,), allow_unused_input=True
            )
        finally:
            torch.set_autocast_cache_enabled(cached)
            with torch.no_grad():  # recording has run the network, and its norms counted
                for buffer, old in zip(network.buffers(), before, strict=True):
                    buffer.copy_(old)
        self._heads, self._several = whole.heads, whole.several

    def shares_tensors(self) -> bool:
        """Return True: the graph works on the network's own weights and buffers."""
        return True

    def __call__(self, images: Tensor) -> tuple[SegOutput, TapMaps]:
        """Return the network's output and the maps; the next call overwrites them."""
        flat: tuple[Tensor, ...] = self._run(images)
        logits, heads, maps = flat[0], flat[1 : 1 + self._heads], flat[1 + self._heads :]
        auxiliary = tuple(heads) if self._several else next(iter(heads), None)
        return SegOutput(logits, auxiliary), dict(zip(self._taps, maps, strict=True))


class _Flat(nn.Module):
    """The logits, auxiliary logits and maps of a network as one tuple."""

    def __init__(self, network: nn.Module, taps: list[str]) -> None:
        super().__init__()
        self.network = network
        self.taps = taps
        self.heads, self.several = 0, False

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        with record(self.network, self.taps) as maps:
            output: SegOutput = self.network(images)
        auxiliary = output.auxiliary
        self.several = isinstance(auxiliary, tuple)
        heads = auxiliary if isinstance(auxiliary, tuple) else (auxiliary,)
        heads = tuple(head for head in heads if head is not None)
        self.heads = len(heads)
        return output.logits, *heads, *(maps[tap] for tap in self.taps)
