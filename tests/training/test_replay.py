"""A step that diverged: named at once, kept small, and taken again by one command."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from segdistill.config import RunConfig
from segdistill.errors import RunFolderError, TrainingDivergedError
from segdistill.models.segmenter import Segmenter
from segdistill.runs.checkpoint import find_checkpoints
from segdistill.runs.layout import REPLAY
from segdistill.training import replay as replaying
from segdistill.training.adversary import Adversaries
from segdistill.training.replay import replay
from segdistill.training.run import run_cohort
from segdistill.types import SegOutput

Make = Callable[..., RunConfig]


def test_a_step_that_diverged_is_kept_and_diverges_again(small: Make, tmp_path: Path) -> None:
    config = small("training.lr=1e30", "training.checkpoint_every=1")
    with pytest.raises(
        TrainingDivergedError, match=f"training.replay {tmp_path / 'run'}"
    ) as raised:
        run_cohort({"": config}, tmp_path / "run")
    assert (tmp_path / "run" / REPLAY).stat().st_size < 20e6
    again = replay(tmp_path / "run")
    assert again.step == raised.value.step
    assert again.error == str(raised.value).partition("; examine the step")[0]
    assert again.first
    assert max(find_checkpoints(tmp_path / "run")) <= again.step


def test_the_command_says_the_step_and_what_broke_first(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrainingDivergedError):
        run_cohort({"": small("training.lr=1e30")}, tmp_path / "run")
    monkeypatch.setattr("sys.argv", ["replay", str(tmp_path / "run")])
    replaying.main()
    said = capsys.readouterr().out
    assert "expected a finite loss" in said
    assert "first not finite: " in said
    assert (tmp_path / "run" / REPLAY).exists()


def test_a_state_that_is_too_large_is_not_kept(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "MOST_MIB", 0)
    with pytest.raises(TrainingDivergedError) as raised:
        run_cohort({"": small("training.lr=1e30")}, tmp_path / "run")
    assert "replay" not in str(raised.value)
    with pytest.raises(RunFolderError, match=r"one without replay\.pt"):
        replay(tmp_path / "run")


def test_a_critic_that_runs_away_is_named_in_its_step_and_nothing_is_saved(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Adversaries.losses

    def explode(adversaries: Adversaries) -> dict[str, Tensor]:
        return {name: value + float("inf") for name, value in losses(adversaries).items()}

    monkeypatch.setattr(Adversaries, "losses", explode)
    config = small("training.checkpoint_every=1", distill=[{"loss": "holistic"}])
    with pytest.raises(TrainingDivergedError, match=r"got holistic\.critic = inf at step 0"):
        run_cohort({"": config}, tmp_path / "run")
    assert not find_checkpoints(tmp_path / "run")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_logits_that_overflow_are_named_in_their_step_and_the_last_good_state_stays(
    value: float, small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Segmenter.forward
    calls = []

    def overflow(network: Segmenter, images: Tensor) -> SegOutput:
        output = forward(network, images)
        calls.append(network.training)
        if not network.training or sum(calls) != 3:
            return output  # the teacher's, and the student's but for its third step
        logits = output.logits.clone()
        logits[:, :, 0, 0] = value  # as in half precision beyond 65504
        return output._replace(logits=logits)

    monkeypatch.setattr(Segmenter, "forward", overflow)
    config = small("training.checkpoint_every=1")
    with pytest.raises(TrainingDivergedError, match=r"expected a finite loss, got .* at step 2"):
        run_cohort({"": config}, tmp_path / "run")
    assert max(find_checkpoints(tmp_path / "run")) == 2
    assert (tmp_path / "run" / REPLAY).exists()
