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

    Half precision becomes float32; one float64 tensor lifts the others. What a teacher made
    in inference mode is copied, since autograd keeps no such tensor.
    """
    dtype = torch.float32
    for one in maps:
        dtype = torch.promote_types(dtype, one.dtype)
    converted = (one.to(dtype) for one in maps)
    return tuple(one.clone() if one.is_inference() else one for one in converted)


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with autocast off inside, so that no product drops to half precision.

    The first tensor among the arguments says which device's autocast is meant.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        device = next((one.device.type for one in given if isinstance(one, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return wrapped
