"""The loop: one batch and one teacher forward a step, whoever is in the cohort."""

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from segdistill.config import RunConfig
from segdistill.errors import TrainingDivergedError
from segdistill.models import proof
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit, to_float
from segdistill.training.devices import build_fabric
from segdistill.training.events import Event, silent
from segdistill.training.learner import Learner
from segdistill.training.run import prepare_cohort

Make = Callable[..., RunConfig]


def test_the_teacher_runs_once_a_step_for_any_number_of_learners(small: Make) -> None:
    configs = {name: small(f"training.seed={place}") for place, name in enumerate("abc")}
    fabric, data = build_fabric(configs["a"]), build_data(configs["a"])
    teacher, learners = prepare_cohort(configs, data, fabric, silent)
    assert teacher is not None
    calls: list[nn.Module] = []
    teacher.register_forward_hook(lambda module, inputs, output: calls.append(module))
    steps: list[Step] = []
    fit(
        teacher,
        learners,
        data.stream,
        fabric=fabric,
        steps=3,
        after=lambda step: not steps.append(step),  # type: ignore[func-returns-value]
    )
    assert len(calls) == 3
    assert [step.done for step in steps] == [1, 2, 3]
    assert set(steps[0].losses) == set(steps[0].learner_seconds) == set("abc")
    assert sum(steps[1].learner_seconds.values()) < steps[1].seconds


def test_what_of_the_teacher_stays_slow_is_said(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small()
    fabric, data = build_fabric(config), build_data(config)
    said: list[Event] = []
    prepare_cohort({"": config}, data, fabric, said.append)
    assert not any("slower but correct" in str(event) for event in said)
    monkeypatch.setattr(proof, "BOUND", -1.0)
    prepare_cohort({"": config}, data, fabric, said.append)
    assert sum("slower but correct" in str(event) for event in said) == 2


def test_it_ends_early_where_it_is_told_to(small: Make) -> None:
    config = small(distill=[])
    fabric, data = build_fabric(config), build_data(config)
    _, learners = prepare_cohort({"": config}, data, fabric, silent)
    stream = data.stream
    done = fit(
        None, learners, stream, fabric=fabric, steps=6, start=2, after=lambda step: step.done < 4
    )
    assert done == 4


def test_images_become_floats_in_zero_to_one_channels_last() -> None:
    images = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1))
    torch.testing.assert_close(images.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    large = to_float(torch.zeros(2, 3, 4, 5, dtype=torch.uint8))
    assert large.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_step_runs_on_a_gpu_in_every_precision(small: Make, precision: str) -> None:
    config = small("training.device=cuda", f"training.precision={precision}")
    fabric, data = build_fabric(config), build_data(config)
    teacher, learners = prepare_cohort({"": config}, data, fabric, silent)
    assert fit(teacher, learners, data.stream, fabric=fabric, steps=2) == 2


def test_scores_and_checkpoints_between_steps_are_no_part_of_a_step(small: Make) -> None:
    config = small(distill=[])
    fabric, data = build_fabric(config), build_data(config)
    _, learners = prepare_cohort({"": config}, data, fabric, silent)
    steps: list[Step] = []

    def score(step: Step) -> bool:
        steps.append(step)
        time.sleep(1)
        return True

    fit(None, learners, data.stream, fabric=fabric, steps=3, after=score)
    assert all(step.seconds - sum(step.learner_seconds.values()) < 0.9 for step in steps)


Weights = dict[str, Tensor]


def go(
    configs: dict[str, RunConfig], *, steps: int = 6, every: int = 1, ahead: bool = False
) -> tuple[dict[str, Weights], list[Step], list[tuple[str, str]]]:
    """Train a cohort whose losses are read every few steps; as on a GPU where it runs ahead."""
    first = next(iter(configs.values()))
    fabric, data = build_fabric(first), build_data(first)
    teacher, learners = prepare_cohort(configs, data, fabric, silent)
    everyone, taken, left = list(learners), list[Step](), list[tuple[str, str]]()
    for learner in learners if ahead else ():
        learner.run_ahead()

    def leave(learner: Learner, error: TrainingDivergedError) -> None:
        left.append((learner.name, str(error)))

    fit(
        teacher,
        learners,
        data.stream,
        fabric=fabric,
        steps=steps,
        reads=lambda done: done % every == 0,
        after=lambda step: not taken.append(step),  # type: ignore[func-returns-value]
        diverged=leave,
    )
    weights = {learner.name: dict(learner.network.named_parameters()) for learner in everyone}
    return weights, taken, left


@pytest.mark.parametrize(("optimizer", "ahead"), [("sgd", False), ("adamw", True)])
def test_losses_may_be_read_late_and_are_the_same_and_so_are_the_weights(
    small: Make, optimizer: str, ahead: bool
) -> None:
    config = small(f"training.optimizer={optimizer}", distill=[{"loss": "holistic"}])
    weights, at_once, _ = go({"": config}, ahead=ahead, steps=3)
    same, late, _ = go({"": config}, ahead=ahead, steps=3, every=2)
    assert [step.losses for step in late] == [step.losses for step in at_once]
    assert [step.done for step in late] == [1, 2, 3]
    assert [step.latest for step in late] == [False, True, True]
    assert all(torch.equal(same[""][name], value) for name, value in weights[""].items())


@pytest.mark.parametrize("ahead", [False, True])
def test_a_loss_that_is_not_finite_is_named_late_and_nothing_was_updated_since(
    small: Make, ahead: bool
) -> None:
    configs = {"lost": small("training.lr=1e30", distill=[]), "stays": small(distill=[])}
    _, _, ((name, said),) = go(configs, ahead=ahead)
    broke = int(said.partition(" at step ")[2].partition(";")[0])
    assert name == "lost"
    assert 0 < broke < 5
    before, _, _ = go(configs, ahead=ahead, steps=broke)
    after, late, left = go(configs, ahead=ahead, every=6)
    assert left == [(name, said)]
    assert all(torch.equal(after["lost"][key], value) for key, value in before["lost"].items())
    assert [set(step.losses) for step in late] == [
        {"lost", "stays"} if step.done <= broke else {"stays"} for step in late
    ]
    alone, _, _ = go({"stays": configs["stays"]}, ahead=ahead)
    assert all(torch.equal(after["stays"][key], value) for key, value in alone["stays"].items())
