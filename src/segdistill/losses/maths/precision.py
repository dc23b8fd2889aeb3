"""The precision of a comparison: float32 or better, whatever the networks ran in."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(*maps: Tensor) -> tuple[Tensor, ...]:
    """Return tensors in one floating dtype that is float32 or wider.

    Half precision becomes float32; one float64 tensor promotes the others. Tensors that a teacher
    computed in inference mode are copied, since autograd cannot save them.
    """
    dtype = torch.float32
    for tensor in maps:
        dtype = torch.promote_types(dtype, tensor.dtype)
    converted = (tensor.to(dtype) for tensor in maps)
    return tuple(tensor.clone() if tensor.is_inference() else tensor for tensor in converted)


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with autocast off inside, so that no product falls to half precision.

    The first tensor among the arguments determines the device whose autocast is turned off.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        devices = (value.device.type for value in given if isinstance(value, Tensor))
        with torch.autocast(next(devices, "cpu"), enabled=False):
            return function(*args, **kwargs)

    return wrapped
