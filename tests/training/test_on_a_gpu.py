"""Whole runs on a GPU: to their end, resumed, from a cache, and without a wait inside a step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from segdistill import load
from segdistill.config import RunConfig
from segdistill.runs.result import read_result
from segdistill.runs.student import student_file
from segdistill.training.build import build_data
from segdistill.training.cohort import fit
from segdistill.training.compiling import settle
from segdistill.training.devices import build_fabric
from segdistill.training.events import Event, Progress, silent
from segdistill.training.run import prepare_cohort, run_cohort

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]

Make = Callable[..., RunConfig]

LOGIT_LOSSES = ("pixelwise_kl", "channelwise_kl", "decoupled_kl", "correlation")
FEATURE_LOSSES = ("pairwise_similarity", "intra_class_variation", "layer_angular", "attention")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(student_file(run))


@pytest.mark.parametrize("loss", [*LOGIT_LOSSES, *FEATURE_LOSSES])
def test_no_loss_makes_the_host_wait_inside_a_step(small: Make, loss: str) -> None:
    config = small("training.device=cuda", "training.ema=0.9", distill=[{"loss": loss}])
    fabric, data = build_fabric(config), build_data(config)
    teacher, learners = prepare_cohort({"": config}, data, fabric, silent)

    def reads(done: int) -> bool:
        # Two steps to warm up, three in which every wait is an error; the last one is read.
        torch.cuda.set_sync_debug_mode("error" if 2 <= done < 5 else "default")
        return False

    try:
        assert fit(teacher, learners, data.stream, fabric=fabric, steps=6, reads=reads) == 6
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_run_is_trained_scored_and_loaded(small: Make, tmp_path: Path) -> None:
    config = small("training.device=cuda", "training.ema=0.9", "training.precision=bf16-mixed")
    run_cohort({"": config}, tmp_path / "run")
    assert 0 <= read_result(tmp_path / "run").miou <= 1
    student = load(tmp_path / "run")
    image = torch.randint(0, 255, (3, 48, 64), dtype=torch.uint8).permute(1, 2, 0).numpy()
    assert student.predict(image).mask.shape == (48, 64)


def test_a_deterministic_run_that_was_stopped_ends_with_the_same_bits(
    small: Make, tmp_path: Path
) -> None:
    config = small("training.device=cuda", "training.deterministic=true")

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 6:
            raise KeyboardInterrupt

    run_cohort({"": config}, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_cohort({"": config}, tmp_path / "stopped", tell=stop)
    run_cohort({"": config}, tmp_path / "stopped", resume=True)
    whole, stopped = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert [name for name in whole if not torch.equal(whole[name], stopped[name])] == []


def test_a_warm_teacher_cache_trains_what_a_cold_one_does(small: Make, tmp_path: Path) -> None:
    words = ("training.device=cuda", "training.deterministic=true", f"teacher.cache={tmp_path}/c")
    for name in ("cold", "warm"):
        run_cohort({"": small(*words)}, tmp_path / name)
    cold, warm = weights(tmp_path / "cold"), weights(tmp_path / "warm")
    assert [name for name in cold if not torch.equal(cold[name], warm[name])] == []


def test_graphs_train_what_single_launches_do(small: Make, tmp_path: Path) -> None:
    for mode in ("off", "graphs"):
        words = ("training.device=cuda", "training.deterministic=true", "student.dropout=0")
        run_cohort({"": small(*words, f"training.compile={mode}")}, tmp_path / mode)
    single, together = weights(tmp_path / "off"), weights(tmp_path / "graphs")
    for name, values in single.items():
        torch.testing.assert_close(together[name], values, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_recording_graphs_leaves_the_network_as_it_was(small: Make, precision: str) -> None:
    config = small(
        "training.device=cuda", "training.compile=graphs", f"training.precision={precision}"
    )
    fabric, data = build_fabric(config), build_data(config)
    teacher, learners = prepare_cohort({"": config}, data, fabric, silent)
    before = {name: value.clone() for name, value in learners[0].network.state_dict().items()}
    (found,) = settle(
        teacher, learners, data.stream, config.training, fabric=fabric, start=0, tell=silent
    )
    assert found.compiled
    for name, value in learners[0].network.state_dict().items():
        assert torch.equal(value, before[name]), name
    fit(teacher, learners, data.stream, fabric=fabric, steps=2)
    assert not torch.equal(learners[0].network.state_dict()[name], before[name])
