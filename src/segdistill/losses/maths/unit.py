"""Unit vectors whose gradient stays bounded when a vector vanishes."""

import torch
from torch import Tensor

SHORTEST = 1e-4
"""A shorter vector has no direction: it is divided by this in place of its norm.

After a ReLU whole positions are zero. Division by their norm plus 1e-8 or 1e-12, as public
code has it, gives them gradients of 1e5 to 1e10; here 1/SHORTEST bounds it, and every vector
that is longer is exact.
"""


def unit(
    vectors: Tensor,
    *,
    dim: int | tuple[int, ...],
    order: float = 2.0,
    shortest: float = SHORTEST,
) -> Tensor:
    r"""Divide vectors by their norm: :math:`v / \max(\|v\|_q, \epsilon)`.

    Args:
        vectors: any tensor, float32 or wider.
        dim: the dimension or dimensions that make up one vector.
        order: :math:`q`, the order of the norm.
        shortest: :math:`\epsilon`; a zero vector stays zero.

    Returns:
        A tensor of the same shape, with each vector of norm 1, or less if it was shorter than
        ``shortest``.
    """
    return vectors / length(vectors, dim=dim, order=order).clamp_min(shortest)


def length(vectors: Tensor, *, dim: int | tuple[int, ...], order: float = 2.0) -> Tensor:
    """Return norms with the reduced dimensions kept; their gradient at a zero vector is 0."""
    if isinstance(dim, int) and order == 2:
        # vector_norm is several times slower over channels than over contiguous memory.
        squares = vectors.square().sum(dim=dim, keepdim=True)
        some = squares > 0
        return torch.where(some, squares, 1).sqrt() * some
    # A norm of norms: over millions of values, vector_norm loses four digits in float32.
    for axis in (dim,) if isinstance(dim, int) else reversed(dim):
        vectors = torch.linalg.vector_norm(vectors, ord=order, dim=axis, keepdim=True)
    return vectors
