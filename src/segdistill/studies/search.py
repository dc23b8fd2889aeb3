"""The search: the same number of trials for every method, including the plain student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segdistill.config import Range, Space, StudyConfig, Tree, put
from segdistill.errors import ConfigError
from segdistill.runs.trials import Trial
from segdistill.seeding import derive
from segdistill.studies.packages import check_packages
from segdistill.studies.runs import base_config, base_tree, check_run, search_seed, trial_config
from segdistill.studies.suggest import grid_cells, suggest
from segdistill.training.sharing import shared


def check_runs(study: StudyConfig) -> None:
    """Check everything in a study file that can be checked before anything is run.

    Raises:
        ConfigError: a run of the study is not possible as configured.
    """
    check_packages(study)
    for pair in study.pairs:
        for method, space in all_spaces(study, pair).items():
            config = base_config(study, pair, method)
            if config.training.devices != 1:
                raise ConfigError(
                    f"training.devices: expected 1, got {config.training.devices}; a study gives "
                    "each cohort one device, and engine sets how many run at once"
                )
            for path, values in space.items():
                if path.partition(".")[0] == "student" or path == "training.seed":
                    raise ConfigError(
                        f"{path}: expected a setting of distill or training to search, got one "
                        "that changes the student or the seed; use pairs or seeds for that"
                    )
                for value in _ends(path, values):
                    changed = check_run(
                        put(base_tree(study, pair, method), path, value), pair, method
                    )
                    if shared(changed) != shared(config):
                        raise ConfigError(
                            f"{path}: expected a setting of distill or of a learner's own training "
                            "to search, got one that changes the batches of all learners; make a "
                            "separate study"
                        )
            cells = len(grid_cells(space)) if study.search.sampler == "grid" else None
            if study.search.trials and cells not in (None, study.search.trials):
                raise ConfigError(
                    f"search.trials: expected as many trials as the grid of {method} has cells "
                    f"({cells}), got {study.search.trials}; a fair search has equal numbers for "
                    f"all methods, so add or remove values in methods.{method}.space"
                )
    if study.search.pruning is not None and study.search.trials:
        for pair in study.pairs:
            for method in study.methods:
                trial_config(study, pair, method, {}, 0)


def _ends(path: str, values: Range | Sequence[Any]) -> Sequence[Any]:
    """Return the values of a setting that must be valid."""
    if not isinstance(values, Range):
        if not values:
            raise ConfigError(f"{path}: expected values to search, got none")
        return values
    if not values.low < values.high or (values.log and values.low <= 0):
        raise ConfigError(
            f"{path}: expected low below high, and above 0 on a logarithmic scale, got "
            f"{values.low:g} and {values.high:g}"
        )
    return values.low, values.high


def all_spaces(study: StudyConfig, pair: str) -> dict[str, Space]:
    """Return the search space of each method of a pair; empty without trials."""
    if not study.search.trials:
        return {method: {} for method in study.methods}
    spaces = {}
    for name, method in study.methods.items():
        config = base_config(study, pair, name)
        common = study.search.space
        if common is None:
            rate, decay = config.training.lr, config.training.weight_decay
            common = {"training.lr": Range(low=rate / 4, high=4 * rate, log=True)}
            if decay:
                common["training.weight_decay"] = _decade(decay)
        own = method.space
        if own is None:
            own = {
                f"distill.{number}.weight": _decade(term.weight)
                for number, term in enumerate(config.distill)
                if term.weight
            }
        spaces[name] = {**common, **own}
    return spaces


def suggest_round(
    study: StudyConfig, pair: str, number: int, trials: Sequence[Trial], *, repeat: int = 0
) -> dict[str, dict[str, Any]]:
    """Return the values that trial ``number`` of each method tries.

    Trial 0 tries the values of the study file if they are in the search space, so that tuning
    starts from the published values; a grid starts with its first cell.

    Args:
        study: the study.
        pair: name of the pair.
        number: number of the trial.
        trials: all known trials; only those of earlier generations are used, so that the order
            in which the trials of one generation end does not matter.
        repeat: number of the search, 0 for the first; a search learns only from its own trials.
    """
    search = study.search
    known = number - number % search.parallel
    suggested = {}
    for index, (method, space) in enumerate(all_spaces(study, pair).items()):
        own = [t for t in trials if (t.pair, t.method, t.repeat) == (pair, method, repeat)]
        before = [t for t in own if t.trial < known]
        seed = derive(search_seed(study, repeat), f"space/{pair}", index)
        suggested[method] = suggest(space, before, number, sampler=search.sampler, seed=seed)
        if number == 0 and search.sampler != "grid":
            suggested[method] |= _published(space, base_config(study, pair, method).tree())
    return suggested


def _published(space: Space, tree: Tree) -> Tree:
    """Return a config's own values for the settings of its search space, if they are in it."""
    published = {}
    for path, values in space.items():
        value: Any = tree
        for key in path.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        if isinstance(values, Range):
            known = isinstance(value, int | float) and values.low <= value <= values.high
        else:
            known = value in values
        if known:
            published[path] = value
    return published


def _decade(value: float) -> Range:
    return Range(low=value / 10, high=value * 10, log=True)
