"""The cost of a network: parameters and arithmetic operations per image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segdistill.models.foreign.adapter import Adapter
from segdistill.models.foreign.program import Opaque
from segdistill.models.segmenter import Segmenter


@dataclass(frozen=True)
class Cost:
    """The cost of one image.

    Attributes:
        params_m: number of parameters used, in millions.
        gmacs: multiply-adds, in 10⁹.
        gflops: floating-point operations, two per multiply-add, in 10⁹.
    """

    params_m: float
    gmacs: float
    gflops: float


def count(network: nn.Module, size: tuple[int, int], *, auxiliary: bool = False) -> Cost:
    """Count parameters and operations with torch's counter: convolutions and matrix products.

    The network runs on torch's meta device without computing anything, except for a program from
    a file, which cannot be moved there and is run once.

    Args:
        network: any network of float images; it is not changed.
        size: height and width of the image.
        auxiliary: count the auxiliary head too.

    Returns:
        The cost of one image.

    Raises:
        ValueError: the network does not run on an image of this size or on the meta device.
    """
    counter = FlopCounterMode(display=False)
    shadow = _shadow(network, auxiliary)
    with counter:
        _run(shadow, size)
    return _cost(_inside(shadow), counter.get_total_flops() / 2)


def count_as_cirkd(network: nn.Module, size: tuple[int, int]) -> Cost:
    r"""Count like the CIRKD authors, for comparison with their published figures.

    Their counter only counts convolutions, including those of the auxiliary head, and computes
    the size of a convolution's output without its dilation,

    .. math:: h = \lfloor (H + 2 p - k) / s \rfloor + 1,

    so that a dilated 3x3 convolution, padded by its dilation, is counted with an output larger
    than the real one.

    Args:
        network: any network of float images; it is not changed.
        size: height and width of the image.

    Returns:
        The cost of one image according to their counting; they call multiply-adds FLOPs.

    Raises:
        ValueError: see :func:`count`; or the network is a program from a file, whose convolutions
            are not visible.

    Source:
        Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic
        Segmentation", CVPR 2022, Tables 1 and 2.
    """
    if _program(network) is not None:
        raise ValueError(
            "cost: expected a network of modules for CIRKD's counting, got a program from a file; "
            "count it with torch's counter"
        )
    shadow = _shadow(network, auxiliary=True)
    macs = 0

    def add(module: nn.Module, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        nonlocal macs
        if isinstance(module, nn.Conv2d):
            positions = 1
            for axis in (0, 1):
                padded = inputs[0].shape[2 + axis] + 2 * int(module.padding[axis])
                kernel, stride = module.kernel_size[axis], module.stride[axis]
                positions *= (padded - kernel) // stride + 1
            macs += positions * module.weight.numel()

    handles = [module.register_forward_hook(add) for module in shadow.modules()]
    _run(shadow, size)
    for handle in handles:
        handle.remove()
    return _cost(shadow, macs)


def _shadow(network: nn.Module, auxiliary: bool) -> nn.Module:
    """Return a copy without memory, in evaluation mode except for the auxiliary head."""
    shadow = copy.deepcopy(network).eval()
    if _program(network) is None:
        shadow.to("meta")
    if isinstance(shadow, Segmenter):
        if auxiliary:
            shadow.run_auxiliary = True
        else:
            shadow.auxiliary = None
    return shadow


def _program(network: nn.Module) -> Opaque | None:
    """Return the program in an adapter, which hides its modules and parameters."""
    inner = network.network if isinstance(network, Adapter) else network
    return inner if isinstance(inner, Opaque) else None


def _inside(network: nn.Module) -> nn.Module:
    """Return the module that contains the parameters."""
    opaque = _program(network)
    program = None if opaque is None else opaque.program[0]
    return program if isinstance(program, nn.Module) else network


def _run(shadow: nn.Module, size: tuple[int, int]) -> None:
    run: Callable[[torch.Tensor], object] = shadow
    try:
        with torch.no_grad():
            run(torch.zeros(1, 3, *size, device="cpu" if _program(shadow) else "meta"))
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"cost: expected a network that runs on an image of {size[0]}x{size[1]} without "
            f"data (torch's meta device), got: {error}"
        ) from error


def _cost(network: nn.Module, macs: float) -> Cost:
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters / 1e6, macs / 1e9, 2 * macs / 1e9)
