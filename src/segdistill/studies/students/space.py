"""The next student to try: a pure function of the space, the seed and the students before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segdistill.config import StudentSearchConfig, Tree
from segdistill.config.students import all_students
from segdistill.runs.students import Timed
from segdistill.runs.trials import Trial
from segdistill.seeding import derive, draws
from segdistill.studies.packages import need_optuna

if TYPE_CHECKING:
    import optuna

_ASKED = 20  # suggestions before a student that was not tried is drawn at random


@dataclass(frozen=True)
class Suggestion:
    """A student to try: the name of its family, and its section."""

    family: str
    student: Tree


def suggest_student(
    search: StudentSearchConfig,
    timed: Sequence[Timed],
    trials: Mapping[str, Trial],
    pending: Sequence[Suggestion] = (),
) -> Suggestion | None:
    r"""Return a student that was not suggested before, None if there is none.

    Optuna sees two objectives, mIoU and the median time, and a constraint: with limit
    :math:`l`, a student of which nine of ten passes take at most :math:`t_{90}` satisfies it if
    :math:`t_{90} - l \le 0`. A student that was too slow to be trained has an mIoU of 0, which
    counts for nothing, because its constraint is violated.

    Args:
        search: the search.
        timed: students suggested before, with their times.
        trials: trials of those that were trained, by name.
        pending: students suggested for the same round that have no time yet.

    Raises:
        ConfigError: optuna is not installed.

    Source:
        Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 2022, with the
        constraints of Gardner et al., ICML 2014, as in optuna.
    """
    need_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = len(timed) + len(pending)
    seed = derive(search.search.seed, "student", number) % 2**32
    families = search.families
    tried = [
        *((one.family, dict(one.student)) for one in timed),
        *((one.family, one.student) for one in pending),
    ]
    sampler: optuna.samplers.BaseSampler = (
        optuna.samplers.RandomSampler(seed=seed)
        if search.search.sampler == "random"
        else optuna.samplers.TPESampler(seed=seed)
    )
    memory = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for one in timed:
        if one.time is not None:
            memory.add_trial(_remembered(search, one, trials.get(one.name)))
    for _ in range(_ASKED):
        asked = memory.ask()
        family = list(families)[asked.suggest_categorical("family", range(len(families)))]
        student = {
            key: values[asked.suggest_categorical(f"{family}.{key}", range(len(values)))]
            for key, values in families[family].items()
        }
        if (family, student) not in tried:
            return Suggestion(family, student)
    left = [one for one in all_students(families) if one not in tried]
    return Suggestion(*draws(seed, "left").choice(left)) if left else None


def _remembered(
    search: StudentSearchConfig, one: Timed, trial: Trial | None
) -> optuna.trial.FrozenTrial:
    """Return a student as optuna's memory holds it."""
    import optuna

    assert one.time is not None, "the caller leaves out students without a time"
    families = search.families
    chosen = {"family": (list(families), one.family)}
    for key, values in families[one.family].items():
        chosen[f"{one.family}.{key}"] = (list(values), one.student[key])
    miou = (trial.miou if trial is not None else None) or 0.0
    limit = search.latency.limit_ms
    return optuna.trial.create_trial(
        params={name: values.index(value) for name, (values, value) in chosen.items()},
        distributions={
            name: optuna.distributions.CategoricalDistribution(range(len(values)))
            for name, (values, _) in chosen.items()
        },
        values=[miou, one.time.median_ms],
        constraints=None if limit is None else {"latency": one.time.high_ms - limit},
    )
