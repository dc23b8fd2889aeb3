"""Gradients made by hand or in the forward pass, which have no gradient of their own."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Return the ``backward`` of a Function that refuses to be differentiated again.

    ``once_differentiable`` would take the gradient for a constant where nothing but the
    loss itself is differentiated, and say nothing.

    Raises:
        RuntimeError: in backward, where a graph of the gradient is asked for.
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
