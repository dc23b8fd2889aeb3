"""Networks compiled by torch.compile, which give their maps by tap as a second output."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from segdistill.models.taps import as_map, resolve, tap_paths
from segdistill.types import SegOutput, TapMaps

# One for each architecture, its taps and the parts that are frozen, of all runs of a process.
_MOST_PROGRAMS = 64


class CompiledNetwork:
    """A compiled form of a network with the network's own weights and buffers.

    Called with images, it returns the network's output and its maps by tap. It is in the mode in
    which it was made for good, and compiles again for images of another shape.

    Compiled is a second structure of modules around the same tensors, in which the hooks that
    record the maps can stay: torch.compile follows hooks only if they were there at first and do
    not change. The network itself keeps its names and hooks, and runs as before when it is
    called.
    """

    def __init__(self, network: nn.Module, taps: Iterable[str], run: Callable[..., Any]) -> None:
        known = tap_paths(network)
        self._paths = {name: known.get(name, name) for name in taps}
        self._network = network
        self._run = run
        self._twin = _around_same_tensors(network)
        self._maps: dict[str, Tensor] = {}
        for path, module in resolve(self._twin, self._paths.values()).items():
            module.register_forward_hook(_keeper(path, self._maps))

    def __call__(self, images: Tensor) -> tuple[SegOutput, TapMaps]:
        paths = tuple(dict.fromkeys(self._paths.values()))
        with torch._dynamo.config.patch(recompile_limit=_MOST_PROGRAMS):
            output, maps = self._run(self._twin, paths, self._maps, images)
        return output, {name: maps[path] for name, path in self._paths.items()}

    def shares_tensors(self) -> bool:
        """Return whether the network still has the same tensors.

        After a network has replaced a buffer in its forward, instead of changing it in place, it
        has not.
        """
        pairs = [
            *zip(self._twin.parameters(), self._network.parameters(), strict=True),
            *zip(self._twin.buffers(), self._network.buffers(), strict=True),
        ]
        return all(own is others for own, others in pairs)


def compile_network(network: nn.Module, taps: Iterable[str], *, backend: str) -> CompiledNetwork:
    """Return a compiled form of a network; the first call compiles.

    Networks of one architecture share what was compiled. Values differ by rounding; random draws
    are those of the network on a CPU, others on a GPU.

    Args:
        network: on its device and in the mode to compile; it is not changed.
        taps: the maps to give, each a tap's name or a dotted module path.
        backend: of :func:`torch.compile`.

    Raises:
        ValueError: the network has no such tap.
        Exception: whatever copying the network's modules raises.
    """
    # Without this a compiled dropout would draw other numbers from the same seed.
    options: Any = {"fallback_random": True} if backend == "inductor" else None
    run = torch.compile(_run, backend=backend, options=options, dynamic=False)
    return CompiledNetwork(network, taps, run)


def _run(
    network: nn.Module, paths: tuple[str, ...], maps: dict[str, Tensor], images: Tensor
) -> tuple[SegOutput, dict[str, Tensor]]:
    """Run a network whose hooks fill ``maps``, which would keep the graph if it were not emptied.

    torch.compile does not look whether another network has the same hooks. It looks at
    ``paths``, the modules that have them.
    """
    output = network(images)
    given = {path: maps[path] for path in paths}
    maps.clear()
    return output, given


def _keeper(path: str, maps: dict[str, Tensor]) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        # The next layer may work in place, so the map is copied.
        maps[path] = as_map(path, output).clone()

    return keep


def _around_same_tensors(network: nn.Module) -> nn.Module:
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
