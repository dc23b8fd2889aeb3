"""The local engine: cohorts one after the other, or several at once in processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from pathlib import Path

import torch

from segdistill.config import EngineConfig
from segdistill.studies.cohorts import Job
from segdistill.studies.work import PAUSE_SECONDS, work
from segdistill.threads import choose_threads
from segdistill.training.events import Note, Tell


def run_local(
    jobs: Sequence[Job], root: Path, engine: EngineConfig, *, tell: Tell
) -> Iterator[tuple[Job, dict[str, str]]]:
    """Train cohorts on this machine and yield each when it is done.

    Several processes are assigned to GPUs in turn. If a process is killed, such as by a system
    that is out of memory, unfinished cohorts continue in new processes.

    Args:
        jobs: the cohorts.
        root: folder of the study.
        engine: number of processes and threads, and of retries of a cohort.
        tell: called with the events of this process.

    Returns:
        Each cohort, with the reasons, by method, for runs that were given up.

    Raises:
        KeyboardInterrupt, OSError, ConfigError, RunFolderError: see
            :func:`segdistill.studies.work.work`; no other cohort is started.
    """
    if engine.processes == 1:
        for job in jobs:
            yield job, work(job, root, threads=engine.threads, retries=engine.retries, tell=tell)
        return
    waiting = list(jobs)
    for attempt in range(1 + engine.retries):
        try:
            for job, left in _run_pool(list(waiting), root, engine):
                waiting.remove(job)
                yield job, left
        except BrokenProcessPool:
            tell(Note(f"a process was killed; {len(waiting)} cohorts continue in new ones"))
            time.sleep(PAUSE_SECONDS * 2**attempt)
        if not waiting:
            return
    for job in waiting:
        yield job, dict.fromkeys(job.configs, f"its process was killed {1 + engine.retries} times")


def _run_pool(
    jobs: list[Job], root: Path, engine: EngineConfig
) -> Iterator[tuple[Job, dict[str, str]]]:
    """Train cohorts in new processes; raises BrokenProcessPool if one is killed."""
    count = min(engine.processes, len(jobs))
    if not count:
        return
    # A forked child can use neither a GPU nor torch's threads.
    context = multiprocessing.get_context("spawn")
    slots = context.Queue()
    for slot in range(count):
        slots.put(slot)
    threads = threads_of(engine, count)
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(slots, torch.cuda.device_count())
    ) as pool:
        running = {
            pool.submit(work, job, root, threads=threads, retries=engine.retries): job
            for job in jobs
        }
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():  # they write checkpoints and exit
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def threads_of(engine: EngineConfig, at_once: int) -> int | None:
    """Return the number of torch threads per cohort for cohorts trained at the same time here.

    None means leaving it unchanged.
    """
    if engine.threads is not None or at_once == 1:
        return engine.threads
    return max(1, choose_threads(torch.get_num_threads()) // at_once)


def _begin(slots: Queue[int], gpus: int) -> None:
    """Assign a GPU to a new process before it looks for one; the process prints nothing."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    slot = slots.get()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
