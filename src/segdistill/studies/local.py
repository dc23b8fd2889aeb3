"""The local engine: cohorts one after the other here, or several at once in processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.queues import Queue
from pathlib import Path

import torch

from segdistill.config import EngineConfig
from segdistill.studies.cohorts import Job
from segdistill.studies.work import work
from segdistill.threads import choose_threads
from segdistill.training.events import Tell


def run_local(
    jobs: Sequence[Job], root: Path, engine: EngineConfig, *, tell: Tell
) -> Iterator[Job]:
    """Train cohorts on this machine and yield each when it is done.

    With several processes, GPUs are dealt out among them in turn.

    Args:
        jobs: the cohorts.
        root: folder of the study.
        engine: how many processes and threads.
        tell: called with what happens, where it happens in this process.

    Raises:
        KeyboardInterrupt, OSError, ConfigError, RunFolderError: see
            :func:`segdistill.studies.work.work`; no other cohort is begun.
    """
    count = min(engine.processes, len(jobs))
    if engine.processes == 1:
        for job in jobs:
            work(job, root, threads=engine.threads, tell=tell)
            yield job
        return
    if not count:
        return
    # A forked child could not use a GPU, nor torch's threads.
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    for place in range(count):
        places.put(place)
    threads = threads_of(engine, count)
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(places, torch.cuda.device_count())
    ) as pool:
        running = {pool.submit(work, job, root, threads=threads): job for job in jobs}
        try:
            for done in as_completed(running):
                done.result()
                yield running[done]
        finally:
            pool.shutdown(cancel_futures=True)


def threads_of(engine: EngineConfig, at_once: int) -> int | None:
    """Return the threads of torch for each of some cohorts that are trained at once here.

    None leaves them as they are.
    """
    if engine.threads is not None or at_once == 1:
        return engine.threads
    return max(1, choose_threads(torch.get_num_threads()) // at_once)


def _begin(places: Queue[int], gpus: int) -> None:
    """Give a new process its GPU, before it has looked for one; it prints nothing."""
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    place = places.get()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(place % gpus)
