"""The frozen teacher: a network that only gives maps, as fast as it can."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from segdistill.models.fold import fold_batch_norms
from segdistill.models.taps import as_map, resolve


class _AllRecordedError(Exception):
    """Ends a forward pass whose remaining layers nobody asked for."""


class FrozenTeacher(nn.Module):
    """A copy of a network that gives maps to compare with, and never learns.

    It stays in evaluation mode, runs in inference mode and only until the deepest map is
    there. Its weights are laid out channels last, and at the first call every batch norm
    that follows a convolution is folded into it. The maps are ordinary tensors, so a
    student's loss may be differentiated through them.

    Args:
        network: the trained network; it is copied, not changed.
        taps: the maps to give, each a tap's name or a dotted module path.

    Shape:
        images ``(N, 3, H, W)`` in [0, 1]; each map ``(N, C, h, w)``.

    Raises:
        ValueError: there is no such tap, it gives no map or runs more than once; or no tap
            is asked for.
        RuntimeError: in the forward pass, when a module was put into training mode.
    """

    def __init__(self, network: nn.Module, taps: Iterable[str]) -> None:
        super().__init__()
        self.taps = tuple(dict.fromkeys(taps))
        if not self.taps:
            raise ValueError("FrozenTeacher: expected at least one tap, got none")
        resolve(network, self.taps)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.folded = False

    def train(self, mode: bool = True) -> FrozenTeacher:
        """Do nothing: a teacher is always in evaluation mode."""
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if any(module.training for module in self.network.modules()):
            raise RuntimeError(
                "FrozenTeacher: expected every module in evaluation mode, got one in training "
                "mode; do not call train() on the teacher's network"
            )
        if not self.folded:
            self._fold(images[:1])
        return self._run(images.contiguous(memory_format=torch.channels_last))

    @torch.inference_mode()
    def _run(self, images: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        handles = []
        for name, module in resolve(self.network, self.taps).items():

            def keep(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
                # A tensor of inference mode cannot be saved for a backward pass, a copy made
                # outside can; and the layer after may work in place.
                with torch.inference_mode(False):
                    maps[name] = as_map(name, output).clone()
                if len(maps) == len(self.taps):
                    raise _AllRecordedError

            handles.append(module.register_forward_hook(keep))
        try:
            self.network(images)
        except _AllRecordedError:
            return {name: maps[name] for name in self.taps}
        finally:
            for handle in handles:
                handle.remove()
        lacking = [name for name in self.taps if name not in maps]
        raise ValueError(
            f"FrozenTeacher: expected taps that run in a forward pass, got {', '.join(lacking)}; "
            "choose others (segdistill list taps)"
        )

    def _fold(self, image: Tensor) -> None:
        tapped = resolve(self.network, self.taps)
        runs = fold_batch_norms(self.network, image, keep=tapped.values())
        for name, module in tapped.items():
            if runs.get(module, 1) > 1:
                raise ValueError(
                    f"tap '{name}': expected a module that runs once in a forward pass, got one "
                    f"that runs {runs[module]} times; choose another (segdistill list taps)"
                )
        self.folded = True
