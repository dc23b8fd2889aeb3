"""Successive halving: rungs that divide the steps, and who stays at them."""

import pytest

from segdistill.config import PruningConfig
from segdistill.errors import ConfigError
from segdistill.studies.halving import falls_behind, rungs


def test_rungs_grow_by_the_factor() -> None:
    assert rungs(400, PruningConfig(rungs=2, factor=2)) == [100, 200]
    assert rungs(900, PruningConfig(rungs=2, factor=3)) == [100, 300]


def test_refuses_steps_that_do_not_divide() -> None:
    with pytest.raises(ConfigError, match="expected steps of a trial divisible 3 times by 2"):
        rungs(100, PruningConfig(rungs=3, factor=2))


def test_the_first_stays_and_later_ones_have_to_be_in_the_best_share() -> None:
    assert not falls_behind(0.1, [], 2)
    assert falls_behind(0.1, [0.2], 2)
    assert not falls_behind(0.3, [0.2], 2)
    # Of four, counting itself, two go on.
    assert not falls_behind(0.25, [0.1, 0.2, 0.3], 2)
    assert falls_behind(0.15, [0.1, 0.2, 0.3], 2)
    assert not falls_behind(0.2, [0.2, 0.2, 0.2], 2)
