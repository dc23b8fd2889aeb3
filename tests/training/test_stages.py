"""Losses with a critic or a stage before training, in real runs that are killed and resumed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segdistill.config import RunConfig
from segdistill.runs.checkpoint import find_checkpoints, load_checkpoint
from segdistill.runs.metrics import prepare_lines, read_metrics, train_lines
from segdistill.runs.result import read_result
from segdistill.runs.student import student_file
from segdistill.training.build import build_cohort, build_data
from segdistill.training.dry import try_cohort
from segdistill.training.events import Event, Progress
from segdistill.training.measure import measure_cohort
from segdistill.training.run import run_cohort

Make = Callable[..., RunConfig]

CRITIC = {"loss": "holistic", "width": 8}
MEMORY = {
    "loss": "cross_image_relations",
    "pixel_queue": 64,
    "region_queue": 16,
    "pixel_contrasts": 64,
    "region_contrasts": 32,
}
STAGED = {"loss": "knowledge_adaptation", "adapter_layers": 1}


def state_bits(run: Path) -> dict[str, torch.Tensor]:
    newest = load_checkpoint(next(iter(find_checkpoints(run).values())))
    return {**newest["learner"]["network"], **newest["learner"]["objective"]}


def assert_same_bits(one: Path, other: Path) -> None:
    first, second = state_bits(one), state_bits(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def interrupt_at(stage: str, step: int) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.stage.startswith(stage) and event.done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return tell


@pytest.mark.long
@pytest.mark.parametrize("term", [CRITIC, MEMORY], ids=lambda term: str(term["loss"]))
def test_critics_and_queues_resume_to_the_same_bits(
    small: Make, tmp_path: Path, term: dict[str, object]
) -> None:
    config = small("training.log_every=1", distill=[term])
    run_cohort({"": config}, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_cohort({"": config}, tmp_path / "cut", tell=interrupt_at("training", 3))
    run_cohort({"": config}, tmp_path / "cut", resume=True)
    assert_same_bits(tmp_path / "whole", tmp_path / "cut")


def test_a_critic_learns_by_itself_and_is_logged_but_not_part_of_the_loss(
    small: Make, tmp_path: Path
) -> None:
    config = small("training.log_every=1", distill=[CRITIC])
    before = build_cohort({"": config}, build_data(config).train.classes)[1][0]
    start = {
        name: value.clone()
        for name, value in before.objective.state_dict().items()
        if "critic" in name and "weight" in name
    }
    (run,) = run_cohort({"": config}, tmp_path / "run")
    after = load_checkpoint(next(iter(find_checkpoints(run).values())))["learner"]["objective"]
    assert start
    assert any(not torch.equal(value, after[name]) for name, value in start.items())
    for line in train_lines(read_metrics(run)):
        assert set(line.parts) == {"task", "holistic", "holistic.critic"}
        assert line.loss == pytest.approx(line.parts["task"] + line.parts["holistic"])


@pytest.mark.long
def test_the_first_stage_is_run_counted_saved_and_resumed_to_the_same_bits(
    small: Make, tmp_path: Path
) -> None:
    config = small("training.checkpoint_every=1", distill=[STAGED])
    run_cohort({"": config}, tmp_path / "whole")
    result = read_result(tmp_path / "whole")
    assert result.seconds is not None
    assert 0 < (result.prepare_seconds or 0.0) < result.seconds
    lines = prepare_lines(read_metrics(tmp_path / "whole"))
    assert [line.step for line in lines] == [1, 2]
    assert all(0 < line.loss < float("inf") for line in lines)
    with pytest.raises(KeyboardInterrupt, match="stopped while preparing; continue with --resume"):
        run_cohort({"": config}, tmp_path / "cut", tell=interrupt_at("preparing", 1))
    assert list(find_checkpoints(tmp_path / "cut")) == [0]
    run_cohort({"": config}, tmp_path / "cut", resume=True)
    assert_same_bits(tmp_path / "whole", tmp_path / "cut")
    resumed = prepare_lines(read_metrics(tmp_path / "cut"))
    assert [(line.step, line.loss) for line in resumed] == [(x.step, x.loss) for x in lines]


def test_a_dry_run_and_a_measurement_go_through_the_first_stage(small: Make) -> None:
    config, said = small(distill=[STAGED]), list[Event]()
    try_cohort({"": config}, tell=said.append)
    text = " ".join(str(event) for event in said)
    assert "first loss of the stage before training" in text
    assert "knowledge_adaptation.adapt" in text
    cost = measure_cohort({"ka": config, "plain": small(distill=[])}, steps=1)
    assert cost.learners["ka"].prepare_seconds > 0
    assert cost.learners["plain"].prepare_seconds == 0


def test_the_total_that_is_told_is_the_loss_that_is_logged(small: Make, tmp_path: Path) -> None:
    told = list[Progress]()

    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.stage.startswith("training"):
            told.append(event)

    (run,) = run_cohort({"": small("training.log_every=1", distill=[CRITIC])}, tmp_path, tell=tell)
    lines = train_lines(read_metrics(run))
    assert [event.losses[""] for event in told] == [line.loss for line in lines]
    critics = [line.parts["holistic.critic"] for line in lines]
    assert [event.losses["holistic.critic"] for event in told] == critics


def test_what_a_loss_learns_is_not_in_the_student(small: Make, tmp_path: Path) -> None:
    from safetensors import safe_open

    (run,) = run_cohort({"": small(distill=[CRITIC, MEMORY])}, tmp_path / "run")
    with safe_open(student_file(run), "pt") as file:
        names = list(file.keys())
    assert names
    assert not [name for name in names if "critic" in name or "queue" in name or "terms" in name]
