"""Quantisation-aware training: the student is rounded to 8 bits while it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.func import functional_call

Hook = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]

_WEIGHED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_MOMENTUM = 0.1
_SMALLEST = torch.finfo(torch.float32).eps


class Quantizer(nn.Module):
    r"""Fake quantisation of a network's layers with weights, during training only.

    A value is rounded to the grid of an INT8 file, and inside the range its gradient passes
    unchanged (Jacob et al., CVPR 2018, arXiv:1712.05877):

    .. math:: \hat x = s \left( \mathrm{clip}(\lfloor x / s \rceil + z, q_-, q_+) - z \right).

    Weights have a scale per output channel, symmetric, signed: :math:`s = \max |w| / 127`. A
    batch norm after the layer multiplies each channel by a factor, so it makes no difference
    whether rounding takes place before or after folding. A layer's input has a single unsigned
    range that moves towards each batch's minimum and maximum. The first layer's input is not
    rounded, because images already have 256 known integer values.

    The network's own weights stay in float32; training only makes them robust to rounding.
    ``segdistill export --format onnx-int8`` measures the ranges again, on training images.

    Args:
        network: the network, whose layers are kept by name; it is not changed.

    Attributes:
        ranges: minimum and maximum of each layer's input, ``(layers, 2)``; nan before the first
            batch.
    """

    ranges: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.layers = tuple(
            name for name, module in network.named_modules() if isinstance(module, _WEIGHED)
        )
        self.register_buffer("ranges", torch.full((len(self.layers), 2), torch.nan))

    def forward(self, network: nn.Module, images: Tensor) -> Any:
        """Return what a network gives with its weights and its layers' inputs rounded."""
        with self._rounding(network) as weights:
            # Untied, since torch leaves the weights of a module with two names exchanged.
            return functional_call(network, weights, (images,), tie_weights=False)

    @contextmanager
    def _rounding(self, network: nn.Module) -> Iterator[dict[str, Tensor]]:
        """Round the inputs of the layers inside the block, and yield their rounded weights."""
        weights = {
            f"{name}.weight": round_weight(network.get_submodule(name)) for name in self.layers
        }
        seen: set[int] = set()

        def round_input(index: int) -> Hook:
            def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
                first = not seen
                seen.add(index)
                if first:
                    return None
                return (self._round(index, inputs[0]), *inputs[1:])

            return hook

        handles = [
            network.get_submodule(name).register_forward_pre_hook(round_input(index))
            for index, name in enumerate(self.layers)
        ]
        try:
            yield weights
        finally:
            for handle in handles:
                handle.remove()

    def _round(self, index: int, values: Tensor) -> Tensor:
        with torch.no_grad():
            low, high = torch.aminmax(values.detach().float())
            # 0 must be in every range, so that padding and rectified values are exact.
            batch = torch.stack([low.clamp(max=0), high.clamp(min=0)])
            if distributed.is_available() and distributed.is_initialized():
                # The global batch's range; the minimum is the maximum of the negated values.
                sign = batch.new_tensor([-1, 1])
                batch = batch * sign
                distributed.all_reduce(batch, distributed.ReduceOp.MAX)
                batch = batch * sign
            before = self.ranges[index]
            moved = torch.where(before.isnan(), batch, before.lerp(batch, _MOMENTUM))
            self.ranges[index] = moved
            scale = ((moved[1] - moved[0]) / 255).clamp(min=_SMALLEST)
            zero = (-moved[0] / scale).round().clamp(0, 255)
        return _round_to(values, scale, zero, 0, 255)


def round_weight(layer: nn.Module) -> Tensor:
    """Return a layer's weight, rounded to 8 bits, signed, with a scale per output channel."""
    weight = layer.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"round_weight: expected a layer with a weight, got {type(layer).__name__}")
    channel = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    others = [axis for axis in range(weight.ndim) if axis != channel]
    scale = (weight.detach().abs().amax(others, keepdim=True) / 127).clamp(min=_SMALLEST)
    return _round_to(weight, scale, torch.zeros_like(scale), -127, 127)


def _round_to(values: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    """Round values to a grid; the gradient is 1 inside its ends and 0 outside."""
    placed = values.float() / scale + zero
    inside = placed.clamp(low, high)
    rounded = inside + (inside.round() - inside).detach()
    return ((rounded - zero) * scale).to(values.dtype)
