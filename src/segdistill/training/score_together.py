"""Scoring distributed over the processes, each image in one of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lightning_fabric import Fabric
from torch import distributed, nn

from segdistill.scoring.evaluator import Result, join

T = TypeVar("T")


@dataclass
class _Share:
    """The result of one process for its images, or its error."""

    result: Result | None = None
    error: Exception | None = None


def score_together(
    score: Callable[[range], Result], network: nn.Module, images: int, fabric: Fabric
) -> Result:
    """Score a network; all processes call it, each scores a share of the images.

    Args:
        score: scores the images with these indices.
        network: what is scored; its buffers become those of the first process.
        images: how many there are.
        fabric: the processes.

    Returns:
        The joint result of all images, the same in every process.

    Raises:
        DataError, ValueError: see :func:`segdistill.scoring.evaluator.evaluate`; raised in every
            process, whichever meets the error.
    """
    rank, world = fabric.global_rank, fabric.world_size
    if world == 1:
        return score(range(images))
    # Without synchronisation, batch norms have seen other images in each process.
    for buffer in network.buffers():
        distributed.broadcast(buffer, src=0)
    own = range(rank * images // world, (rank + 1) * images // world)
    share = _Share()
    try:
        if own:
            share.result = score(own)
    except Exception as error:
        share.error = _sendable(error)  # the other processes are waiting and have to be told
    shares = gather(share, fabric)
    for other in shares:
        if other.error is not None:
            raise other.error
    return join([other.result for other in shares if other.result is not None])


def gather(value: T, fabric: Fabric) -> list[T]:
    """Return the value of every process, in the order of their ranks; all processes call it."""
    if fabric.world_size == 1:
        return [value]
    values = [value] * fabric.world_size
    distributed.all_gather_object(values, value)
    return values


def _sendable(error: Exception) -> Exception:
    """Return an error that can be pickled: a foreign network may raise anything."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
