"""The cohorts of a study: what shares a teacher's forward, and what it is expected to cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

from segdistill.config import PLAIN, RunConfig, StudyConfig, Tree
from segdistill.config.loading import check_tree
from segdistill.runs.study import CohortCost, seed_folder, trial_folder
from segdistill.runs.trials import Trial
from segdistill.studies.halving import rungs
from segdistill.studies.runs import base_config, final_config, trial_config
from segdistill.training.sharing import shared

_FREE_SHARE = 0.8


@dataclass(frozen=True)
class Job:
    """A cohort to be trained.

    Attributes:
        stage: of the study.
        pair: of teacher and student.
        number: trial of a search, seed of a final run.
        configs: checked config of each run, by method.
        seen: scores of earlier trials by method and rung, where trials may be ended early.
        factor: of successive halving, 0 without.
        repeat: of the search, 0 for the first.
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
        """Where its run folders are, relative to that of the study."""
        if self.stage == "search":
            return trial_folder(self.pair, self.number, self.repeat)
        return seed_folder(self.pair, self.number)

    @property
    def name(self) -> str:
        """What logs call it; other cohorts of the same folder have other methods."""
        return f"{self.folder} ({', '.join(self.configs)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as plain values: the records' types are made at run time."""
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
    """Gather runs into cohorts: those that can share batch and teacher, and fit in memory.

    A cohort takes what each learner keeps, and the most that one takes during its step.

    Args:
        configs: by method.
        cost: measured for the pair.
        memory_mib: limit; four fifths of what was free by default.
        at_once: cohorts that share what was free.
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
    # GPUs are dealt out among processes, and each that shares one has its part of it.
    sharing = ceil(engine.processes / max(1, cost.devices)) if engine.name == "local" else 1
    return split_cohorts(configs, cost, memory_mib=engine.memory_mib, at_once=sharing)


def fits(methods: Sequence[str], cost: CohortCost, limit_mib: float | None) -> bool:
    """Return whether learners fit in memory together, as far as it could be measured."""
    kept = [cost.learners[method].kept_mib or 0.0 for method in methods]
    peaks = [cost.learners[method].peak_mib or 0.0 for method in methods]
    together = sum(kept) + max(peak - own for peak, own in zip(peaks, kept, strict=True))
    return limit_mib is None or together <= limit_mib


def matched_steps(study: StudyConfig, cost: CohortCost, method: str, steps: int) -> int:
    """Return how many steps a method gets where the plain student gets ``steps``.

    Budgets that match by seconds give as many as fit into the plain student's time, each
    method trained alone with its own teacher. Control ``longer`` gets the time of the dearest
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
        number: of the trial.
        params: what each method tries.
        cost: measured for the pair.
        trials: earlier generations, which decide whether a trial is ended early.
        repeat: which search, 0 for the first.
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
    """Return the cohorts of one seed of the comparison; arguments as :func:`round_jobs`."""
    configs = {}
    for method, values in params.items():
        base = base_config(study, pair, method).training.steps
        steps = matched_steps(study, cost, method, base)
        configs[method] = final_config(study, pair, method, values, seed, steps=steps)
    return [Job("final", pair, seed, cohort) for cohort in _split(study, configs, cost)]


def job_seconds(job: Job, cost: CohortCost, *, apart: bool = False) -> float:
    """Return what a cohort is expected to take, without scoring.

    Args:
        job: the cohort.
        cost: measured for the pair.
        apart: of the same runs one by one, each with its own batches and teacher.
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
