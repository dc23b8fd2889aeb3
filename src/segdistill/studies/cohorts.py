"""The cohorts of a study, whose runs share the teacher's forward, and their expected cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

from segdistill.config import PLAIN, RunConfig, StudyConfig, Tree
from segdistill.config.loading import check_tree
from segdistill.runs.measured import CohortCost
from segdistill.runs.search import trial_folder
from segdistill.runs.study import seed_folder
from segdistill.runs.trials import Trial
from segdistill.studies.halving import rungs
from segdistill.studies.runs import base_config, final_config, trial_config
from segdistill.training.sharing import shared

_FREE_SHARE = 0.8


@dataclass(frozen=True)
class Job:
    """A cohort to train.

    Attributes:
        stage: stage of the study.
        pair: of teacher and student.
        number: number of the trial, or seed of the final runs.
        configs: checked configs of the runs, by method.
        seen: scores of earlier trials by method and rung, if trials may be stopped early.
        factor: factor of successive halving, 0 without it.
        repeat: number of the search, 0 for the first.
    """

    stage: Literal["search", "final"]
    pair: str
    number: int
    configs: Mapping[str, RunConfig]
    seen: Mapping[str, Mapping[int, Sequence[float]]] = field(default_factory=dict)
    factor: int = 0
    repeat: int = 0

    @property
    def folder(self) -> str:
        """The folder of its run folders, relative to that of the study."""
        if self.stage == "search":
            return trial_folder(self.pair, self.number, self.repeat)
        return seed_folder(self.pair, self.number)

    @property
    def name(self) -> str:
        """Its name in logs; other cohorts in the same folder have other methods."""
        return f"{self.folder} ({', '.join(self.configs)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as plain values, because the classes of the records are created at run time."""
        trees = {method: config.tree() for method, config in self.configs.items()}
        own = (self.seen, self.factor, self.repeat)
        return _rebuild, (self.stage, self.pair, self.number, trees, *own)


def _rebuild(
    stage: Literal["search", "final"], pair: str, number: int, trees: Mapping[str, Tree], *rest: Any
) -> Job:
    configs = {method: check_tree(tree) for method, tree in trees.items()}
    return Job(stage, pair, number, configs, *rest)


def split_cohorts(
    configs: Mapping[str, RunConfig],
    cost: CohortCost,
    *,
    memory_mib: float | None,
    at_once: int = 1,
) -> list[dict[str, RunConfig]]:
    """Group runs that can share batch and teacher into cohorts that fit in memory.

    A cohort needs the memory that all its learners hold, plus the largest peak during a step.

    Args:
        configs: configs by method.
        cost: the measured cost of the pair.
        memory_mib: limit; by default four fifths of the free memory.
        at_once: number of cohorts that share the free memory.
    """
    free = None if cost.free_mib is None else _FREE_SHARE * cost.free_mib / at_once
    limit = memory_mib or free
    cohorts: list[dict[str, RunConfig]] = []
    for method, config in configs.items():
        for cohort in cohorts:
            same = shared(next(iter(cohort.values()))) == shared(config)
            if same and fits([*cohort, method], cost, limit):
                cohort[method] = config
                break
        else:
            cohorts.append({method: config})
    return cohorts


def _split(
    study: StudyConfig, configs: Mapping[str, RunConfig], cost: CohortCost
) -> list[dict[str, RunConfig]]:
    engine = study.engine
    # Processes are assigned to GPUs in turn, and those on the same GPU share its memory.
    sharing = ceil(engine.processes / max(1, cost.devices)) if engine.name == "local" else 1
    return split_cohorts(configs, cost, memory_mib=engine.memory_mib, at_once=sharing)


def fits(methods: Sequence[str], cost: CohortCost, limit_mib: float | None) -> bool:
    """Return whether learners fit in memory together, as far as that could be measured."""
    kept = [cost.learners[method].kept_mib or 0.0 for method in methods]
    peaks = [cost.learners[method].peak_mib or 0.0 for method in methods]
    together = sum(kept) + max(peak - own for peak, own in zip(peaks, kept, strict=True))
    return limit_mib is None or together <= limit_mib


def matched_steps(study: StudyConfig, cost: CohortCost, method: str, steps: int) -> int:
    """Return the number of steps of a method if the plain student gets ``steps``.

    With budgets matched by seconds, these are as many as fit into the plain student's time if
    the method is trained alone with its teacher. Control ``longer`` gets the time of the slowest
    method before it in the study.
    """
    if study.methods[method].control == "longer":
        above = list(study.methods)[: list(study.methods).index(method)]
        dearest = max(
            steps * cost.alone(m, distils=bool(study.methods[m].distill))
            + cost.learners[m].prepare_seconds
            for m in above
        )
        return max(steps, round(dearest / cost.alone(method, distils=False)))
    if study.match == "steps":
        return steps
    own = cost.alone(method, distils=bool(study.methods[method].distill))
    budget = steps * cost.alone(PLAIN, distils=False) - cost.learners[method].prepare_seconds
    return max(1, round(budget / own))


def round_jobs(
    study: StudyConfig,
    pair: str,
    number: int,
    params: Mapping[str, Mapping[str, Any]],
    cost: CohortCost,
    trials: Sequence[Trial] = (),
    *,
    repeat: int = 0,
) -> list[Job]:
    """Return the cohorts of trial ``number`` of every method.

    Args:
        study: the study.
        pair: of teacher and student.
        number: number of the trial.
        params: the values that each method tries.
        cost: the measured cost of the pair.
        trials: earlier generations, which decide whether a trial is stopped early.
        repeat: number of the search, 0 for the first.
    """
    pruning, seen = study.search.pruning, dict[str, dict[int, list[float]]]()
    configs = {}
    for method, values in params.items():
        base = study.search.steps or base_config(study, pair, method).training.steps
        steps = matched_steps(study, cost, method, base)
        config = trial_config(study, pair, method, values, number, repeat=repeat, steps=steps)
        configs[method] = config
        if pruning is not None:
            own = (pair, method, repeat)
            earlier = [t.scores for t in trials if (t.pair, t.method, t.repeat) == own]
            seen[method] = {
                step: [scores[str(step)] for scores in earlier if str(step) in scores]
                for step in rungs(config.training.steps, pruning)
            }
    factor = 0 if pruning is None else pruning.factor
    return [
        Job("search", pair, number, cohort, {m: seen.get(m, {}) for m in cohort}, factor, repeat)
        for cohort in _split(study, configs, cost)
    ]


def seed_jobs(
    study: StudyConfig,
    pair: str,
    seed: int,
    params: Mapping[str, Mapping[str, Any]],
    cost: CohortCost,
) -> list[Job]:
    """Return the cohorts of one seed of the comparison; arguments as for :func:`round_jobs`."""
    configs = {}
    for method, values in params.items():
        base = base_config(study, pair, method).training.steps
        steps = matched_steps(study, cost, method, base)
        configs[method] = final_config(study, pair, method, values, seed, steps=steps)
    return [Job("final", pair, seed, cohort) for cohort in _split(study, configs, cost)]


def job_seconds(job: Job, cost: CohortCost, *, apart: bool = False) -> float:
    """Return the expected seconds of a cohort, without scoring.

    Args:
        job: the cohort.
        cost: the measured cost of the pair.
        apart: whether to count separate runs, each with its own batches and teacher.
    """
    configs = job.configs
    before = sum(cost.learners[method].prepare_seconds for method in configs)
    if apart:
        return before + sum(
            config.training.steps * cost.alone(method, distils=bool(config.distill))
            for method, config in configs.items()
        )
    teacher = max(cost.teaching(m) if c.distill else 0.0 for m, c in configs.items())
    together = cost.batch_seconds + teacher + sum(cost.learners[m].seconds for m in configs)
    return before + next(iter(configs.values())).training.steps * together
