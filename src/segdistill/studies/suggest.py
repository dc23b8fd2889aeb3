"""The values of a trial: a pure function of the space, the seed and the trials before it.

Optuna only suggests values; it keeps no database and distributes no work. A study therefore gets
the same suggestions after an interruption, and on any number of machines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from segdistill.config import Range, Space
from segdistill.errors import ConfigError
from segdistill.runs.trials import Trial
from segdistill.seeding import derive
from segdistill.studies.packages import need_optuna

if TYPE_CHECKING:
    import optuna


def suggest(
    space: Space,
    before: Sequence[Trial],
    number: int,
    *,
    sampler: Literal["grid", "random", "tpe"],
    seed: int,
) -> dict[str, Any]:
    """Return the values that a trial tries.

    Args:
        space: values or range of each setting.
        before: trials of the same space whose results may be used.
        number: number of the trial, from 0.
        sampler: ``grid`` returns cell ``number``, ``random`` draws at random, and ``tpe`` draws
            near good trials after ten random ones.
        seed: seed of this space.

    Returns:
        A value for each path of the space.

    Raises:
        ConfigError: optuna is not installed, or a grid has no such cell.

    Source:
        Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization",
        NeurIPS 2011 (TPE), as in optuna.
    """
    if not space:
        return {}
    if sampler == "grid":
        return grid_cells(space)[number]
    need_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number_seed = derive(seed, "suggest", number) % 2**32
    samplers: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "random": optuna.samplers.RandomSampler,
        "tpe": optuna.samplers.TPESampler,
    }
    drawing = samplers[sampler](seed=number_seed)
    memory = optuna.create_study(direction="maximize", sampler=drawing)
    distributions = {path: _distribution(values) for path, values in space.items()}
    for trial in sorted(before, key=lambda trial: trial.trial):
        memory.add_trial(
            optuna.trial.create_trial(
                params={path: _coded(space[path], trial.params[path]) for path in space},
                distributions=distributions,
                value=trial.miou or 0.0,  # a diverged trial gets the worst score
            )
        )
    suggested = memory.ask(distributions).params
    return {path: _decoded(space[path], suggested[path]) for path in space}


def grid_cells(space: Space) -> list[dict[str, Any]]:
    """Return every combination of values once, with the last setting changing fastest.

    Raises:
        ConfigError: a setting has a range instead of values.
    """
    for path, values in space.items():
        if isinstance(values, Range):
            raise ConfigError(
                f"{path}: expected a list of values for a grid, got a range; list them, or choose "
                "search.sampler=random"
            )
    lists = [values for values in space.values() if not isinstance(values, Range)]
    return [dict(zip(space, cell, strict=True)) for cell in itertools.product(*lists)]


def _distribution(values: Range | Sequence[Any]) -> optuna.distributions.BaseDistribution:
    import optuna

    if isinstance(values, Range):
        return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
    return optuna.distributions.CategoricalDistribution(range(len(values)))


def _coded(values: Range | Sequence[Any], value: Any) -> Any:
    """Return a value for optuna; listed ones by index, because 1, 1.0 and True are equal."""
    return value if isinstance(values, Range) else list(values).index(value)


def _decoded(values: Range | Sequence[Any], value: Any) -> Any:
    if not isinstance(values, Range):
        return values[value]
    # Four digits are precise enough, and can be read and typed.
    return min(max(float(f"{value:.4g}"), values.low), values.high)
