"""Scoring distributed over the processes, each image in one of them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import distributed

from segdistill.data.carving import Subset
from segdistill.scoring.evaluator import Result
from segdistill.scoring.scores import score
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data
from segdistill.training.score import score_run


@dataclass
class _Share:
    """The result of one process for its images, or its error."""

    result: Result | None = None
    error: Exception | None = None


def score_together(run: ActiveRun, data: Data, fabric: Fabric) -> Result:
    """Score a learner during training; all processes call it, each scores a share of the images.

    Args:
        run: the learner; its buffers become those of the first process.
        data: what it is scored on.
        fabric: device and processes.

    Returns:
        The scores and counts of the whole split, the same in every process.

    Raises:
        DataError, ValueError: see :func:`segdistill.scoring.evaluator.evaluate`; raised in every
            process, whichever meets the error.
    """
    rank, world = fabric.global_rank, fabric.world_size
    if world == 1:
        return score_run(run, data, fabric)
    # Without synchronisation, batch norms have seen other images in each process.
    for buffer in run.learner.result.buffers():
        distributed.broadcast(buffer, src=0)
    count = len(data.evaluation)
    own = range(rank * count // world, (rank + 1) * count // world)
    share = _Share()
    try:
        if own:
            part = replace(data, evaluation=Subset(data.evaluation, own))
            share.result = score_run(run, part, fabric)
    except Exception as error:
        share.error = error  # the other processes are waiting and have to be told
    shares = _gather(share, world)
    for other in shares:
        if other.error is not None:
            raise other.error
    return _joined([other.result for other in shares if other.result is not None])


def _gather(share: _Share, world: int) -> list[_Share]:
    if share.error is not None:
        try:
            pickle.loads(pickle.dumps(share.error))
        except Exception:  # a foreign network may raise anything
            share.error = RuntimeError(f"{type(share.error).__name__}: {share.error}")
    shares = [_Share() for _ in range(world)]
    distributed.all_gather_object(shares, share)
    return shares


def _joined(results: Sequence[Result]) -> Result:
    """Return the joint result of results on different images."""
    first = results[0]
    counts = torch.stack([result.counts for result in results]).sum(dim=0)
    return replace(
        first,
        scores=score(counts, first.classes.names),
        counts=counts,
        images=sum(result.images for result in results),
        pixels=sum(result.pixels for result in results),
        seconds=max(result.seconds for result in results),
    )
