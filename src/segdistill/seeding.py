"""Stateless randomness: every draw is a function of a seed, a purpose and a position.

No generator outlives what it draws, so a run resumes without saved random state, and a batch
does not depend on the number of workers.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, *position: int) -> int:
    """Return a 63-bit seed for one draw.

    Args:
        seed: seed of the run for this family of draws, such as data or initial weights.
        purpose: what is drawn, such as ``"order"`` or ``"crop"``; equal seeds with different
            purposes give independent draws.
        position: position of the draw, such as step and index in the batch.

    Returns:
        A seed in ``[0, 2**63)``, the same on every machine and Python version.
    """
    text = "/".join((str(seed), purpose, *map(str, position)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def draws(seed: int, purpose: str, *position: int) -> random.Random:
    """Return a fresh generator of scalars for one position; see :func:`derive`."""
    return random.Random(derive(seed, purpose, *position))


def torch_generator(
    seed: int, purpose: str, *position: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a fresh generator of tensors for one position; see :func:`derive`."""
    import torch

    return torch.Generator(device).manual_seed(derive(seed, purpose, *position))
