"""Suggestions: pure functions of space, seed and earlier trials, inside the space."""

import itertools

import pytest

from segdistill.config import Range, Space
from segdistill.errors import ConfigError
from segdistill.runs.trials import Trial
from segdistill.studies.suggest import grid_cells, suggest

SPACE: Space = {
    "training.lr": Range(low=1e-4, high=1e-1, log=True),
    "distill.0.temperature": (1, 2, 4),
    "distill.0.weight": Range(low=0.0, high=10.0),
}


def trial(number: int, params: dict[str, object], miou: float | None) -> Trial:
    return Trial("p", "m", number, params, 0, "hash", "done", miou, 1, 1, 1.0)


def test_a_grid_runs_each_cell_once() -> None:
    space: Space = {"a": (1, 2, 3), "b": (True, None)}
    cells = [suggest(space, [], n, sampler="grid", seed=0) for n in range(6)]
    expected = itertools.product((1, 2, 3), (True, None))
    assert cells == [{"a": a, "b": b} for a, b in expected]
    assert len(grid_cells(space)) == 6


def test_a_grid_refuses_a_range() -> None:
    with pytest.raises(ConfigError, match=r"training\.lr: expected a list of values for a grid"):
        suggest(SPACE, [], 0, sampler="grid", seed=0)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_is_suggested_again_whatever_order_the_results_came_in(sampler: str) -> None:
    found: list[Trial] = []
    for number in range(14):
        params = suggest(SPACE, found, number, sampler=sampler, seed=3)  # type: ignore[arg-type]
        again = suggest(SPACE, found[::-1], number, sampler=sampler, seed=3)  # type: ignore[arg-type]
        assert params == again
        assert 1e-4 <= params["training.lr"] <= 1e-1
        assert 0 <= params["distill.0.weight"] <= 10
        assert params["distill.0.temperature"] in (1, 2, 4)
        found.append(trial(number, params, params["distill.0.weight"] / 10))
    assert len({tuple(one.params.values()) for one in found}) == 14


def test_seeds_and_numbers_draw_differently() -> None:
    drawn = [
        suggest(SPACE, [], n, sampler="random", seed=s)["training.lr"]
        for n in range(3)
        for s in range(3)
    ]
    assert len(set(drawn)) == 9


def test_a_logarithmic_range_is_drawn_evenly_over_its_decades() -> None:
    space: Space = {"x": Range(low=1e-4, high=1.0, log=True)}
    drawn = [suggest(space, [], n, sampler="random", seed=0)["x"] for n in range(200)]
    assert 60 < sum(value < 1e-2 for value in drawn) < 140


def test_tpe_draws_near_good_trials() -> None:
    space: Space = {"x": Range(low=0.0, high=1.0)}
    before = [trial(n, {"x": n / 40}, -abs(n / 40 - 0.2)) for n in range(40)]
    drawn = [suggest(space, before, n, sampler="tpe", seed=0)["x"] for n in range(40, 60)]
    assert sum(abs(value - 0.2) < 0.1 for value in drawn) > 12
    at_random = [suggest(space, before, n, sampler="random", seed=0)["x"] for n in range(40, 60)]
    assert sum(abs(value - 0.2) < 0.1 for value in at_random) < 10


def test_tpe_keeps_away_from_where_trials_failed() -> None:
    space: Space = {"x": Range(low=0.0, high=1.0)}
    before = [trial(n, {"x": n / 40}, 0.3 if n < 20 else None) for n in range(40)]
    drawn = [suggest(space, before, n, sampler="tpe", seed=0)["x"] for n in range(40, 60)]
    assert sum(value < 0.5 for value in drawn) >= 18


def test_an_empty_space_has_nothing_to_try() -> None:
    assert suggest({}, [], 0, sampler="tpe", seed=0) == {}
