"""The loop: one batch and one teacher forward a step, whoever is in the cohort."""

import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from segdistill.config import RunConfig
from segdistill.models import proof
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit, to_float
from segdistill.training.devices import build_fabric
from segdistill.training.events import Event, silent
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
    assert not any("slower but right" in str(event) for event in said)
    monkeypatch.setattr(proof, "BOUND", -1.0)
    prepare_cohort({"": config}, data, fabric, said.append)
    assert sum("slower but right" in str(event) for event in said) == 2


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
