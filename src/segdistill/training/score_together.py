"""Scoring shared out over the processes: each image is counted once, by one of them."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import distributed, nn

from segdistill.config import EvaluationConfig
from segdistill.data.carving import Subset
from segdistill.scoring.evaluator import Precision, Result, evaluate
from segdistill.scoring.scores import score
from segdistill.training.extremes import Extremes, Seen
from segdistill.types import Sample, SegDataset


@dataclass
class _Share:
    """What one process found of its images, or what stopped it."""

    result: Result | None = None
    shown: list[Seen] = field(default_factory=list)
    extreme: list[Seen] = field(default_factory=list)
    error: Exception | None = None


def score_together(
    network: nn.Module,
    dataset: SegDataset,
    settings: EvaluationConfig,
    *,
    fabric: Fabric,
    precision: Precision,
    shown: Collection[int] = (),
    extremes: int = 0,
    keep_images: bool = False,
) -> tuple[Result, list[Seen]]:
    """Score a network on a dataset of which each process takes a share; all call it.

    Args:
        network: the same in every process; its buffers become those of the first.
        dataset: images with masks.
        settings: how it is scored.
        fabric: device and processes.
        precision: see :func:`evaluate`, as is ``keep_images``.
        shown: indices of images that are returned with their predictions.
        extremes: so many of the worst and of the best images are returned as well.
        keep_images: also return the confusion matrix of each image.

    Returns:
        What one process would have found of the whole dataset, in its order, the same in every
        process; and the images that were asked for.

    Raises:
        DataError, ValueError: see :func:`evaluate`; in every process, whichever meets it.
    """
    rank, world = fabric.global_rank, fabric.world_size
    own = range(rank * len(dataset) // world, (rank + 1) * len(dataset) // world)
    share, ends = _Share(), Extremes(extremes, len(dataset.classes))

    def keep(index: int, sample: Sample, prediction: np.ndarray) -> None:
        if own[index] in shown:
            share.shown.append((sample, prediction.copy()))
        ends.see(sample, prediction)

    if world > 1:
        # Batch norms that were not synchronised have followed other images in each process.
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)
    try:
        if own or world == 1:
            share.result = evaluate(
                network,
                dataset if world == 1 else Subset(dataset, own),
                device=fabric.device,
                precision=precision,
                scales=settings.scales,
                flip=settings.flip,
                window=settings.window,
                on_image=keep,
                keep_images=keep_images,
            )
    except Exception as error:
        if world == 1:
            raise
        share.error = error  # the others wait for this process, and have to be told
    share.extreme = ends.kept
    shares = [share] if world == 1 else _gather(share, world)
    for other in shares:
        if other.error is not None:
            raise other.error
    results = [other.result for other in shares if other.result is not None]
    all_shown = [seen for other in shares for seen in other.shown]
    return _joined(results), [*all_shown, *_ends(shares, ends)]


def _ends(shares: Sequence[_Share], own: Extremes) -> list[Seen]:
    """Return the worst and the best images of all processes."""
    if len(shares) == 1:
        return own.kept
    ends = Extremes(own.count, own.classes)
    for seen in {seen[0].name: seen for share in shares for seen in share.extreme}.values():
        ends.see(*seen)
    return ends.kept


def _gather(share: _Share, world: int) -> list[_Share]:
    if share.error is not None:
        try:
            pickle.loads(pickle.dumps(share.error))
        except Exception:  # of a foreign network, which may raise anything
            share.error = RuntimeError(f"{type(share.error).__name__}: {share.error}")
    shares = [_Share() for _ in range(world)]
    distributed.all_gather_object(shares, share)
    return shares


def _joined(results: Sequence[Result]) -> Result:
    """Return the result over images that several results are about, in their order."""
    first = results[0]
    if len(results) == 1:
        return first
    counts = torch.stack([result.counts for result in results]).sum(dim=0)
    kept = [result.image_counts for result in results if result.image_counts is not None]
    return replace(
        first,
        scores=score(counts, first.classes.names),
        counts=counts,
        images=sum(result.images for result in results),
        pixels=sum(result.pixels for result in results),
        seconds=max(result.seconds for result in results),
        image_counts=torch.cat(kept) if kept else None,
        image_names=tuple(name for result in results for name in result.image_names),
    )
