"""Hand-written gradients, or ones made in the forward pass, that have no gradient of their own."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return the ``backward`` of a Function that refuses to be differentiated again.

    ``once_differentiable`` would silently treat the gradient as a constant if only the loss itself
    is differentiated.

    Raises:
        RuntimeError: in backward, if a graph of the gradient is requested.
    """

    @wraps(backward)
    def wrapped(ctx: Any, *upstream: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "segdistill.losses: expected a gradient of first order, got create_graph=True; "
                "this loss is not twice differentiable, penalise another quantity"
            )
        return backward(ctx, *upstream)

    return wrapped
