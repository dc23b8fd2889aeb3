"""Search: which student is worth its time, from a file to the one that is to be shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
from torch import nn

from segdistill.api.complete import complete
from segdistill.api.untrained import build_untrained
from segdistill.config import NetworkConfig, StudentSearchConfig, Tree
from segdistill.config.checking import check_named
from segdistill.config.loading import load_search
from segdistill.config.students import count_students
from segdistill.delivery.cost import count
from segdistill.delivery.latency import measure_together
from segdistill.errors import ConfigError
from segdistill.files import claim
from segdistill.network_state import evaluating
from segdistill.reporting.page import write_search_report
from segdistill.runs.layout import REPORT
from segdistill.runs.result import has_result
from segdistill.runs.students import Found, Time, Timed, Together, read_timed, write_found
from segdistill.runs.study import find_final_runs
from segdistill.studies.cohorts import Job, job_seconds
from segdistill.studies.students.configs import PAIR, check_students, final_config, trial_config
from segdistill.studies.students.results import summarize_search
from segdistill.studies.students.run import Clock, run_search
from segdistill.training.build import open_split
from segdistill.training.events import Tell, silent
from segdistill.training.finish import MOST_COUNTS_MIB, counts_mib
from segdistill.training.measure import measure_cohort
from segdistill.training.pick_device import pick_device
from segdistill.trust import own_words


@dataclass(frozen=True)
class Rehearsal:
    """What a search is about to do.

    Attributes:
        space: number of students that the file allows.
        students: those of the first round, with their times.
        search_seconds: expected duration of the trials, without scoring.
        final_seconds: expected duration of the final runs, without scoring.
    """

    space: int
    students: tuple[Timed, ...]
    search_seconds: float
    final_seconds: float


def search(
    source: str | Path | StudentSearchConfig,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> Found:
    """Find the student that is worth its time under a limit, and train it over several seeds.

    Students are timed in turns before any training, and those that are too slow are not trained.
    The others are trained in cohorts under the teacher, scored on held-out training images, and
    stopped early if they fall behind. Among those that keep the limit, the cheapest is chosen that
    cannot be told from the best. It is trained again with every seed on all training images, and
    scored on the reported split, which nothing was chosen on.

    Example::

        found = segdistill.search("my.yaml", "found", overrides=["latency.limit_ms=15"])
        found.chosen, found.final.mean, found.command

    Args:
        source: search file, name of a packaged one, or a checked search.
        out: folder of the search.
        overrides: overrides ``a.b=value`` of the file, such as ``latency.limit_ms=15``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        resume: continue an interrupted search, or extend one by seeds or trials.
        tell: called with every event.

    Raises:
        ConfigError, RunFolderError, DataError, CheckpointError, SegdistillError: see
            :func:`segdistill.studies.students.run.run_search`.
    """
    checked, clock = _prepare(source, overrides, trust)
    out = Path(out)
    claim("report", [out / REPORT])
    run_search(checked, out, clock, dry_run=False, resume=resume, tell=tell)
    trusted = sorted(own_words(checked.tree(), checked.trust))
    found = summarize_search(checked, out, trust=trusted)
    write_found(out, found)
    finals = [run for run in find_final_runs(out) if run.method == found.chosen]
    complete([run.folder for run in finals if has_result(run.folder)], trust=trusted)
    write_search_report(out)
    return found


def rehearse_search(
    source: str | Path | StudentSearchConfig,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> Rehearsal:
    """Time the students of the first round, and a few steps of their cohort; train nothing.

    Arguments and errors as for :func:`search`, which keeps what was timed.
    """
    checked, clock = _prepare(source, overrides, trust)
    run_search(checked, Path(out), clock, dry_run=True, resume=resume, tell=tell)
    timed = [one for one in read_timed(Path(out)) if one.round == 0]
    cohort = [one for one in timed if one.trained][: checked.search.cohort]
    searching = training = 0.0
    if cohort:
        configs = {one.name: trial_config(checked, dict(one.student)) for one in cohort}
        cost = measure_cohort(configs)
        cohorts = ceil(checked.search.trials / len(cohort))
        searching = cohorts * job_seconds(Job("search", PAIR, 0, configs), cost)
        finals = {one.name: final_config(checked, dict(one.student), 0) for one in cohort}
        each = job_seconds(Job("final", PAIR, 0, finals), cost, apart=True) / len(cohort)
        training = len(checked.seeds) * each
    return Rehearsal(count_students(checked.families), tuple(timed), searching, training)


def _prepare(
    source: str | Path | StudentSearchConfig, overrides: Sequence[str], trust: Sequence[str]
) -> tuple[StudentSearchConfig, Clock]:
    """Return the checked search and what times its students."""
    if isinstance(source, StudentSearchConfig):
        checked = source
    else:
        checked = load_search(source, overrides, trust=trust)
    check_students(checked)
    return checked, _clock(checked)


def _clock(search: StudentSearchConfig) -> Clock:
    """Return a function that times students in turns as the search asks for."""
    first = {key: values[0] for key, values in next(iter(search.families.values())).items()}
    data = trial_config(search, first).data
    held = open_split(data, "holdout")
    if counts_mib(held) >= MOST_COUNTS_MIB:
        raise ConfigError(
            f"search.holdout: expected held-out images whose confusion matrices take less than "
            f"{MOST_COUNTS_MIB} MiB, got {len(held):,} images of {len(held.classes)} classes; "
            "hold out a smaller share"
        )
    settings, size = search.latency, search.latency.size or data.crop
    device = pick_device(settings.device)

    def clock(students: Mapping[str, Tree]) -> tuple[Together, Mapping[str, str]]:
        networks: dict[str, nn.Module] = {}
        costs, refused = {}, {}
        for name, student in students.items():
            try:
                section = check_named(NetworkConfig, student, name)
                network = build_untrained(section, len(held.classes)).to(device)
                costs[name] = count(network, size)
                with evaluating(network), torch.inference_mode():
                    network(torch.rand(1, 3, *size, device=device))
            except (ValueError, RuntimeError) as error:
                refused[name] = str(error)
            else:
                networks[name] = network
        if not networks:
            return Together(size=size), refused
        timed = measure_together(networks, size, threads=settings.threads, passes=settings.passes)
        one = next(iter(timed.values()))
        times = {
            name: Time(
                median_ms=own.median_ms,
                low_ms=own.low_ms,
                high_ms=own.high_ms,
                params_m=costs[name].params_m,
                gflops=costs[name].gflops,
            )
            for name, own in timed.items()
        }
        return Together(times, size, one.device, one.threads, one.others), refused

    return clock
