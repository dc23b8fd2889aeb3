"""Folding: a batch norm in evaluation mode becomes part of the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# Exact types: a subclass may do something else to its weight.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, BatchNormAct2d)


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how often each tensor is an argument of an operation.

    A tensor is known by its id, which is free again when the tensor dies: start counting
    one by removing its id from ``count``, and keep it alive.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[int] = Counter()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        for tensor in torch.utils._pytree.tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):
                self.count[id(tensor)] += 1
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def fold_batch_norms(
    network: nn.Module, image: Tensor, *, keep: Iterable[nn.Module] = ()
) -> Counter[nn.Module]:
    r"""Fold each batch norm that only follows a convolution into it, in place.

    With running mean :math:`\mu` and variance :math:`\sigma^2`, scale :math:`\gamma` and
    shift :math:`\beta`, the convolution's weight and bias become

    .. math::
        w' = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} w, \quad
        b' = \beta + \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} (b - \mu).

    Which belongs to which is seen in one forward pass: the norm's input is the very tensor
    that the convolution returned, nothing else reads that tensor, and both run once.

    Args:
        network: in evaluation mode.
        image: one image that it can take.
        keep: modules whose output must not change, such as a convolution that is tapped.

    Returns:
        How often each module ran in the pass.
    """
    runs, pairs = _trace(network, image)
    kept = set(keep)
    for convolution, norm in pairs:
        if convolution not in kept and runs[convolution] == runs[norm] == 1:
            _fold(convolution, norm)
            _replace(network, norm)
    return runs


def _trace(
    network: nn.Module, image: Tensor
) -> tuple[Counter[nn.Module], list[tuple[nn.Conv2d, nn.BatchNorm2d]]]:
    runs: Counter[nn.Module] = Counter()
    uses = _Uses()
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    read: list[tuple[int, nn.BatchNorm2d]] = []

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        runs[module] += 1
        if _foldable(module) and inputs:
            read.append((id(inputs[0]), module))  # type: ignore[arg-type]

    def after(module: nn.Module, _inputs: object, output: Tensor) -> None:
        if type(module) in _CONVOLUTIONS:
            made[id(output)] = (module, output)  # type: ignore[assignment]
            uses.count.pop(id(output), None)

    handles = [
        handle
        for module in network.modules()
        for handle in (
            module.register_forward_pre_hook(before),
            module.register_forward_hook(after),
        )
    ]
    try:
        with uses:
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    # `made` keeps the tensors alive, so an id means one tensor.
    pairs = [(made[key][0], norm) for key, norm in read if key in made and uses.count[key] == 1]
    return runs, pairs


def _foldable(module: nn.Module) -> bool:
    return type(module) in _NORMS and module.running_mean is not None and not module.training


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance, mean = norm.running_var.double(), norm.running_mean.double()
    scale = torch.rsqrt(variance + norm.eps)
    shift = torch.zeros_like(scale)
    if norm.affine:
        scale, shift = scale * norm.weight.double(), norm.bias.double()
    weight = convolution.weight
    bias = torch.zeros_like(scale) if convolution.bias is None else convolution.bias.double()
    folded = weight.double() * scale.reshape(-1, 1, 1, 1)
    convolution.bias = nn.Parameter(
        (shift + scale * (bias - mean)).to(weight.dtype), requires_grad=False
    )
    # copy_ keeps the layout of the weight in memory.
    weight.copy_(folded)


def _replace(network: nn.Module, norm: nn.BatchNorm2d) -> None:
    rest: nn.Module = nn.Identity()
    if isinstance(norm, BatchNormAct2d):
        rest = nn.Sequential(norm.drop, norm.act)
    rest.train(False)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child is norm:
                setattr(parent, name, rest)
