"""Critics: each has the optimiser, the weight and the schedule that its loss names."""

import pytest
import torch
from lightning_fabric import Fabric
from torch.optim import SGD, Adam

from segdistill.config.loading import check_tree
from segdistill.training.adversary import Adversaries
from segdistill.training.objective import Objective, build_objective
from segdistill.types import Batch

SKD = {"optimizer": "sgd", "weight_decay": 5e-4, "critic_weight": 0.1, "scheduled": True}


def objective(**settings: object) -> Objective:
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": "holistic", "width": 4, **settings}],
        "training": {"steps": 1},
    }
    return build_objective(
        check_tree(tree).distill,
        student_channels={"logits": 3},
        teacher_channels={"logits": 3},
        classes=3,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        seed=0,
    )


def step(built: Objective, critics: Adversaries, rate: float) -> float:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 2, 3, 8, 8, generator=generator)
    labels = torch.zeros(2, 8, 8, dtype=torch.int64)
    batch = Batch(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), labels, labels == 0)
    built.terms["holistic"](student, teacher, batch)
    critics.backward(Fabric(accelerator="cpu"), share=1.0, first=True, last=True)
    critics.update(rate, lost=torch.tensor(False))
    return float(critics.losses()["holistic.critic"])


def optimizer(critics: Adversaries) -> torch.optim.Optimizer:
    return critics._critics["holistic"].optimizer


def test_a_critic_has_adam_of_a_constant_rate_unless_told_otherwise() -> None:
    built = objective()
    critics = Adversaries(built)
    step(built, critics, rate=0.5)
    assert isinstance(optimizer(critics), Adam)
    (group,) = optimizer(critics).param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (4e-4, (0.9, 0.99), 0.0)


def test_a_critic_can_have_sgd_that_follows_the_students_schedule() -> None:
    built = objective(**SKD)
    critics = Adversaries(built)
    assert isinstance(optimizer(critics), SGD)
    for rate in (1.0, 0.25):
        step(built, critics, rate=rate)
        (group,) = optimizer(critics).param_groups
        assert group["lr"] == pytest.approx(4e-4 * rate)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)


def test_the_critics_weight_is_in_its_loss() -> None:
    whole, tenth = objective(), objective(critic_weight=0.1)
    losses = [step(built, Adversaries(built), rate=1.0) for built in (whole, tenth)]
    assert losses[1] == pytest.approx(0.1 * losses[0], rel=1e-5)
