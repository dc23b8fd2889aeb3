"""Random draws in a network's forward, such as dropout, made for the global batch.

A process or part of a batch sees only some of the images. It draws for all images, as a single
process would, and uses the draws for its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from segdistill.losses.maths.part import Part, current_part

_DROPOUTS: tuple[Callable[..., Tensor], ...] = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


@contextmanager
def shared_draws(seed: int) -> Iterator[None]:
    """Draw for the global batch inside the block, even if only a part of it is computed.

    This covers dropout over elements and channels, and paths dropped by ``bernoulli_`` or
    ``torch.rand`` with the images in the first dimension. The dropout of fused attention draws
    only for the images that it sees.

    Args:
        seed: seed of the draws, the same as for :func:`torch.manual_seed` with the whole batch.
    """
    part = current_part()
    if part is None or len(part.places) == part.images:
        yield
        return
    with _Sharing(part, seed):
        yield


class _Sharing(TorchFunctionMode):
    """Replaces draws whose first dimension is the images.

    Args:
        part: the part of the global batch.
        seed: see :func:`shared_draws`.
    """

    def __init__(self, part: Part, seed: int) -> None:
        super().__init__()
        self.part = part
        self.seed = seed
        self.states: dict[torch.device, Tensor] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in _DROPOUTS:
            return self._dropout(func, *args, **named)
        if func is torch.Tensor.bernoulli_ and not isinstance(_second(args), Tensor):
            return self._bernoulli(args[0], *args[1:], **named)
        if func is torch.rand and named.get("generator") is None:
            size = tuple(args[0] if len(args) == 1 and not isinstance(args[0], int) else args)
            if self._divides(size):
                device = torch.device(named.get("device") or "cpu")
                return self._draw(device, size, lambda whole: torch.rand(whole, **named))
        return func(*args, **named)

    def _dropout(
        self,
        function: Callable[..., Tensor],
        values: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        if not training or p == 0 or not self._divides(values.shape):
            return function(values, p, training, inplace)

        def scale(size: tuple[int, ...]) -> Tensor:
            # In the memory layout of the values, which determines the order of the draws.
            strides = values.stride()
            order = sorted(range(values.ndim), key=lambda dim: (-strides[dim], dim))
            ones = values.new_ones([size[dim] for dim in order])
            ones = ones.permute([order.index(dim) for dim in range(values.ndim)])
            return function(ones, p, True)

        drawn = self._draw(values.device, tuple(values.shape), scale)
        return values.mul_(drawn) if inplace else values * drawn

    def _bernoulli(self, values: Tensor, p: float = 0.5, *, generator: Any = None) -> Tensor:
        if generator is not None or not self._divides(values.shape):
            return values.bernoulli_(p, generator=generator)
        size = tuple(values.shape)
        return values.copy_(
            self._draw(values.device, size, lambda whole: values.new_empty(whole).bernoulli_(p))
        )

    def _divides(self, size: Sequence[int]) -> bool:
        """Return whether the first dimension is the images, or a multiple of them."""
        return len(size) > 0 and size[0] > 0 and size[0] % len(self.part.places) == 0

    def _draw(
        self,
        device: torch.device,
        size: tuple[int, ...],
        make: Callable[[tuple[int, ...]], Tensor],
    ) -> Tensor:
        """Return the draws for this part's images, out of draws for the whole batch."""
        rows_per_image = size[0] // len(self.part.places)
        generator = _generator(device)
        if device not in self.states:
            self.states[device] = torch.Generator(device).manual_seed(self.seed).get_state()
        before = generator.get_state()
        generator.set_state(self.states[device])
        try:
            with torch.no_grad():
                whole = make((rows_per_image * self.part.images, *size[1:]))
            self.states[device] = generator.get_state()
        finally:
            generator.set_state(before)
        by_image = whole.reshape(self.part.images, rows_per_image, *size[1:])
        return by_image[self.part.places.to(device)].flatten(end_dim=1)


def _second(args: Sequence[Any]) -> Any:
    return args[1] if len(args) > 1 else None


def _generator(device: torch.device) -> torch.Generator:
    """Return the default generator of a device."""
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.default_generator
