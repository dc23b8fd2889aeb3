"""Folding: a batch norm in evaluation mode becomes part of the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

# Exact types: a subclass may do something else to its weight.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, BatchNormAct2d)


@dataclass
class _Watched:
    """A tensor that a convolution returned, or that a module holds, and how often it was read."""

    maker: nn.Module | None = None
    reads: int = 0


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that read each watched tensor.

    Tensors are known by weak references, not by ``id()``: a dead tensor's id is given to the
    next one.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watched = WeakTensorKeyDictionary()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        self.read((args, kwargs))
        return func(*args, **(kwargs or {}))

    def start(self, tensor: Tensor, maker: nn.Module | None = None) -> None:
        self.watched[tensor] = _Watched(maker)

    def get(self, tensor: object) -> _Watched | None:
        if not isinstance(tensor, Tensor):
            return None
        watched: _Watched | None = self.watched.get(tensor)  # type: ignore[no-untyped-call]
        return watched

    def read(self, values: object) -> None:
        for value in tree_leaves(values):
            watched = self.get(value)
            if watched is not None:
                watched.reads += 1


@torch.no_grad()
def fold_batch_norms(network: nn.Module, image: Tensor, *, keep: Iterable[nn.Module] = ()) -> int:
    r"""Fold each batch norm that only follows a convolution into it, in place.

    With running mean :math:`\mu` and variance :math:`\sigma^2`, scale :math:`\gamma` and
    shift :math:`\beta`, the convolution's weight and bias become

    .. math::
        w' = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} w, \quad
        b' = \beta + \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} (b - \mu).

    Which belongs to which is seen in one forward pass: the norm's input is the very tensor
    that the convolution returned, nothing else reads that tensor or the weights of the two,
    and both run once. What the pass does not show, such as a network that works otherwise at
    another size, only its outputs can: fold with :func:`segdistill.models.proof.proven`.

    Args:
        network: in evaluation mode.
        image: one image that it can take.
        keep: modules whose output must not change, such as a convolution that is tapped.

    Returns:
        How many batch norms are gone.
    """
    pairs = _pairs(network, image, {network, *keep})
    for convolution, norm in pairs:
        _fold(convolution, norm)
        _replace(network, norm)
    return len(pairs)


def _pairs(
    network: nn.Module, image: Tensor, kept: set[nn.Module]
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    runs: Counter[nn.Module] = Counter()
    watch = _Watch()
    followed: list[tuple[_Watched, Any]] = []
    foldable = {module for module in network.modules() if _foldable(module)}
    for module in foldable:
        for tensor in _own(module):
            watch.start(tensor)

    def before(module: nn.Module, inputs: tuple[object, ...]) -> None:
        runs[module] += 1
        read = watch.get(inputs[0]) if inputs and isinstance(module, _NORMS) else None
        if read is not None and read.maker is not None:
            followed.append((read, module))

    def after(module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(module, _CONVOLUTIONS) and isinstance(output, Tensor):
            watch.start(output, module)
        if module in kept:
            # Whoever asked for it reads it, though no operation does.
            watch.read(output)

    handles = [module.register_forward_pre_hook(before) for module in foldable]
    handles += [module.register_forward_hook(after) for module in foldable | kept]
    try:
        with watch:
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return [
        (made.maker, norm)  # type: ignore[misc]
        for made, norm in followed
        if made.reads == 1
        and made.maker is not None
        and runs[made.maker] == runs[norm] == 1
        and all(watch.watched[tensor].reads <= 1 for tensor in (*_own(made.maker), *_own(norm)))
    ]


def _foldable(module: nn.Module) -> bool:
    """Return whether a module is a convolution or norm that does what its class does."""
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        # As pruning, weight_norm and collectors of features have them.
        return False
    if type(module) in _NORMS:
        return module.running_mean is not None and not module.training
    # fuse_conv_bn_weights does not know groups of transposed weights.
    return type(module) in _CONVOLUTIONS and not (
        isinstance(module, nn.ConvTranspose2d) and module.groups > 1
    )


def _own(module: nn.Module) -> tuple[Tensor, ...]:
    return (*module.parameters(recurse=False), *module.buffers(recurse=False))


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    def double(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.double()

    # In float64, so that each weight is rounded once.
    weight, bias = fuse_conv_bn_weights(
        convolution.weight.double(),
        double(convolution.bias),
        double(norm.running_mean),  # type: ignore[arg-type]
        double(norm.running_var),  # type: ignore[arg-type]
        norm.eps,
        double(norm.weight),
        double(norm.bias),
        transpose=isinstance(convolution, nn.ConvTranspose2d),
    )
    # New parameters: the old ones may belong to another module as well.
    kind, learns = convolution.weight.dtype, convolution.weight.requires_grad
    convolution.weight = nn.Parameter(weight.to(kind), requires_grad=learns)
    convolution.bias = nn.Parameter(bias.to(kind), requires_grad=learns)


def _replace(network: nn.Module, norm: nn.BatchNorm2d) -> None:
    rest: nn.Module = nn.Identity()
    if isinstance(norm, BatchNormAct2d):
        rest = nn.Sequential(norm.drop, norm.act)
    rest.eval()
    for parent in list(network.modules()):
        # Not named_children, which gives a module under two names once.
        for name, child in list(parent._modules.items()):
            if child is norm:
                setattr(parent, name, rest)
