"""Costs before a long run: every part apart, nothing written."""

from collections.abc import Callable

import pytest

from segdistill.config import RunConfig
from segdistill.errors import TrainingDivergedError
from segdistill.runs.measured import CohortCost, LearnerCost
from segdistill.training.build import build_section
from segdistill.training.measure import measure_cohort

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


def test_a_learner_holds_at_least_its_weights_gradients_and_momentum(small: Make) -> None:
    config = small(distill=[])
    cost = measure_cohort({"plain": config}, steps=1).learners["plain"]
    network = build_section(config.student, 11, seed=0, purpose="student")
    weights = sum(p.numel() * 4 for p in network.parameters()) / 2**20
    assert cost.kept_mib is not None
    assert cost.kept_mib >= 3 * weights


def test_a_learner_that_diverges_on_the_way_is_measured_all_the_same(small: Make) -> None:
    lost = measure_cohort({"lost": small("training.lr=1e30", distill=[])}).learners["lost"]
    assert lost.seconds > 0


def test_one_that_diverges_at_once_is_refused(small: Make) -> None:
    config = small(distill=[{"loss": "layer_angular", "weight": 3.4e38}])
    with pytest.raises(TrainingDivergedError, match=r"learner lost: .*lower training\.lr"):
        measure_cohort({"lost": config})
