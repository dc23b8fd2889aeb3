"""Costs before a long run: every part apart, nothing written."""

from collections.abc import Callable

import pytest

from segdistill.config import RunConfig
from segdistill.training.measure import CohortCost, LearnerCost, measure_cohort

Make = Callable[..., RunConfig]


def test_parts_are_measured_apart(small: Make) -> None:
    cost = measure_cohort({"plain": small(distill=[]), "kl": small()}, steps=3)
    assert cost.batch_seconds > 0
    assert cost.teacher_seconds > 0
    assert set(cost.learners) == {"plain", "kl"}
    for learner in cost.learners.values():
        assert learner.seconds > 0
        assert learner.kept_mib is None or learner.kept_mib >= 0


def test_nobody_pays_for_a_teacher_that_nobody_asks(small: Make) -> None:
    assert measure_cohort({"plain": small(distill=[])}, steps=1).teacher_seconds == 0


def test_alone_a_learner_pays_for_batch_and_teacher() -> None:
    cost = CohortCost(0.5, 4.0, {"a": LearnerCost(1.0, None, None)}, None)
    assert cost.alone("a", distils=True) == pytest.approx(5.5)
    assert cost.alone("a", distils=False) == pytest.approx(1.5)
