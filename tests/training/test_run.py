"""Runs: the same bits however they are interrupted, shared or repeated; refusals in words."""

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from segdistill.config import RunConfig
from segdistill.errors import ConfigError, DataError, RunFolderError, TrainingDivergedError
from segdistill.models import build_network, save_network
from segdistill.runs.checkpoint import find_checkpoints, load_checkpoint, save_checkpoint
from segdistill.runs.environment import Environment, read_environment, write_environment
from segdistill.runs.layout import CHECKPOINTS, METRICS, RESULT, SETTINGS
from segdistill.runs.metrics import evaluation_lines, read_metrics, train_lines
from segdistill.runs.pictures import find_pictures
from segdistill.runs.result import find_end, has_result, read_failure, read_pruned, read_result
from segdistill.runs.student import read_student, student_file
from segdistill.scoring.evaluator import evaluate
from segdistill.training import score
from segdistill.training.build import build_cohort, build_data
from segdistill.training.cohort import to_float
from segdistill.training.dry import try_cohort
from segdistill.training.events import Event, Note, Progress
from segdistill.training.run import run_cohort
from segdistill.training.task_loss import task_loss

Make = Callable[..., RunConfig]


def weights(run: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(student_file(run))
    return tensors


def assert_same_bits(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunConfig], Path]:
    """Return a function from a config to its run without a break, trained once for all tests."""
    runs: dict[str, Path] = {}

    def train(config: RunConfig) -> Path:
        key = config.model_dump_json()
        if key not in runs:
            (runs[key],) = run_cohort({"": config}, tmp_path_factory.mktemp("unbroken") / "run")
        return runs[key]

    return train


def kill_at(step: int) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


def kill_after_checkpoint(step: int) -> Callable[[Event], None]:
    """Kill between the checkpoint of a step and the line of the log that is due after it."""

    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.done > step:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


def run_in_child(config: RunConfig, out: Path, tell: Callable[[Event], None]) -> int | None:
    def work() -> None:
        run_cohort({"": config}, out, resume=True, tell=tell)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode


@pytest.fixture
def everything(small: Make) -> RunConfig:
    """A run with all that has state: momentum, averaged weights, projector, dropout."""
    return small("training.ema=0.9", "training.clip_norm=1.0", "training.log_every=1")


@pytest.mark.long
def test_a_run_killed_at_random_steps_ends_with_the_same_bits(
    everything: RunConfig, tmp_path: Path, unbroken: Callable[[RunConfig], Path]
) -> None:
    for step in sorted(random.sample(range(1, everything.training.steps), 3)):
        exit_code = run_in_child(everything, tmp_path / "killed", kill_at(step))
        assert exit_code == -signal.SIGKILL, f"expected to be killed at step {step}"
    assert run_in_child(everything, tmp_path / "killed", lambda event: None) == 0
    assert_same_bits(unbroken(everything), tmp_path / "killed")
    lines = train_lines(read_metrics(tmp_path / "killed"))
    assert [line.step for line in lines] == list(range(1, 7))


@pytest.mark.long
def test_killed_while_a_checkpoint_is_written_the_one_before_is_used(
    everything: RunConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unbroken: Callable[[RunConfig], Path],
) -> None:
    synced = os.fsync

    def kill_at_step_4(descriptor: int) -> None:
        if "step-00000004" in os.readlink(f"/proc/self/fd/{descriptor}"):
            os.kill(os.getpid(), signal.SIGKILL)
        synced(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", kill_at_step_4)
        exit_code = run_in_child(everything, tmp_path / "killed", lambda event: None)
    assert exit_code == -signal.SIGKILL
    assert list(find_checkpoints(tmp_path / "killed")) == [2]
    run_cohort({"": everything}, tmp_path / "killed", resume=True)
    assert_same_bits(unbroken(everything), tmp_path / "killed")


@pytest.mark.long
def test_a_broken_checkpoint_is_said_and_the_one_before_used(
    everything: RunConfig, tmp_path: Path, unbroken: Callable[[RunConfig], Path]
) -> None:
    run_in_child(everything, tmp_path / "cut", kill_at(5))
    (_, newest), (older, _) = find_checkpoints(tmp_path / "cut").items()
    newest.write_bytes(newest.read_bytes()[:-100])
    said: list[str] = []
    run_cohort(
        {"": everything},
        tmp_path / "cut",
        resume=True,
        tell=lambda event: said.append(event.text) if isinstance(event, Note) else None,
    )
    assert any("got one with a wrong hash; trying the previous one" in text for text in said)
    assert f"resuming after step {older}" in said
    assert_same_bits(unbroken(everything), tmp_path / "cut")


@pytest.mark.long
def test_a_cohort_gives_each_learner_the_bits_that_it_has_alone(
    small: Make, tmp_path: Path
) -> None:
    configs = {
        "plain": small(distill=[]),
        "kl": small(distill=[{"loss": "pixelwise_kl"}]),
        "other": small("training.lr=0.05", "training.seed=3", student={"backbone": "resnet10t"}),
    }
    together = run_cohort(configs, tmp_path / "cohort")
    for (name, config), run in zip(configs.items(), together, strict=True):
        (alone,) = run_cohort({"": config}, tmp_path / name)
        assert_same_bits(run, alone)


@pytest.mark.long
def test_repeated_with_loader_processes_a_run_gives_the_same_bits(
    small: Make, tmp_path: Path, unbroken: Callable[[RunConfig], Path]
) -> None:
    run_cohort({"": small("data.workers=2")}, tmp_path / "second")
    assert_same_bits(unbroken(small()), tmp_path / "second")


def test_a_batch_in_parts_has_the_mean_loss_of_its_positions(small: Make, tmp_path: Path) -> None:
    # Dropout is drawn for the whole batch, which its parts by themselves cannot repeat.
    words = ["training.steps=1", "training.accumulate=2", "student.dropout=0"]
    config = small(*words, distill=[])
    data = build_data(config)
    _, (learner,) = build_cohort({"": config}, data.train.classes)
    batch, total = data.stream.batch(0), 0.0
    for place in (slice(0, 4, 2), slice(1, 4, 2)):
        output = learner.network.train()(to_float(batch.images[place]))
        labelled = int((batch.labels[place] != 255).sum())
        total += task_loss(output, batch.labels[place])["task"].item() * labelled
    (run,) = run_cohort({"": config}, tmp_path / "parts")
    (line,) = train_lines(read_metrics(run))
    assert line.loss == pytest.approx(total / int((batch.labels != 255).sum()), rel=1e-4)


def test_a_run_killed_while_it_made_its_folder_can_be_started_again(
    small: Make, tmp_path: Path
) -> None:
    (tmp_path / "run" / CHECKPOINTS).mkdir(parents=True)
    write_environment(tmp_path / "run", Environment())
    (tmp_path / "run" / f".{SETTINGS}.77.tmp").touch()
    (run,) = run_cohort({"": small("training.steps=1")}, tmp_path / "run", resume=True)
    assert has_result(run)


def test_a_run_folder_holds_what_is_promised(small: Make, tmp_path: Path) -> None:
    config = small("training.evaluate_every=3")
    (run,) = run_cohort({"": config}, tmp_path / "run")
    result = read_result(run)
    assert 0 <= result.miou <= result.pixel_accuracy <= 1
    assert set(result.iou) == set(result.colors)
    assert (result.images, result.split, result.steps) == (3, "val", 6)
    assert result.config_hash == config.hash() == read_environment(run).config_hash
    assert result.best is not None
    assert result.best.miou >= result.miou
    names = {path.name for path in run.iterdir()}
    assert names >= {"resolved.yaml", "metrics.jsonl", "model.safetensors", "confusion.json"}
    assert [set(files) for files in find_pictures(run).values()] == [
        {"input", "truth", "prediction"}
    ]
    assert [line.step for line in evaluation_lines(read_metrics(run))] == [3, 6]
    assert read_student(student_file(run)).config_hash == config.hash()


def test_result_json_keeps_the_keys_that_scripts_read(small: Make, tmp_path: Path) -> None:
    (run,) = run_cohort({"": small("training.steps=1")}, tmp_path / "run")
    kept = """absent_classes batch_seconds best boundary_iou calibration_error colors
    config_hash data_seed energy_kwh energy_source evaluation_seconds frequency_weighted_iou
    images iou mean_accuracy method miou
    miou_ground_truth_classes name own_seconds peak_memory_mib pixel_accuracy pixels
    prepare_seconds seconds seed skipped_images split step steps teacher_seconds"""
    assert set(json.loads((run / RESULT).read_text())) == {*kept.split(), "format"}


def test_no_step_is_scored_twice(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []

    def count(*given: Any, **named: Any) -> Any:
        scored.append(len(scored))
        return evaluate(*given, **named)

    monkeypatch.setattr(score, "evaluate", count)
    (run,) = run_cohort({"": small("training.evaluate_every=2")}, tmp_path / "run")
    assert [line.step for line in evaluation_lines(read_metrics(run))] == [2, 4, 6]
    assert len(scored) == 3


@pytest.mark.long
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_run_that_cannot_be_scored_keeps_its_weights_and_is_completed_by_resume(
    small: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
    unbroken: Callable[[RunConfig], Path],
) -> None:
    config = small("training.evaluate_every=2", "training.checkpoint_every=100")
    whole = unbroken(config)
    calls: list[None] = []

    def fail(*given: Any, **named: Any) -> Any:
        calls.append(None)
        if len(calls) == call:
            raise RuntimeError("sizes differ")
        return evaluate(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(score, "evaluate", fail)
        with pytest.raises(RuntimeError, match="sizes differ"):
            run_cohort({"": config}, tmp_path / "run")
    assert next(iter(find_checkpoints(tmp_path / "run"))) == 2 * call
    assert student_file(tmp_path / "run").exists() == (call == 3)
    (run,) = run_cohort({"": config}, tmp_path / "run", resume=True)
    assert_same_bits(whole, run)
    assert evaluation_lines(read_metrics(run)) == evaluation_lines(read_metrics(whole))
    assert read_result(run).best == read_result(whole).best


@pytest.mark.long
@pytest.mark.parametrize("name", ["model.safetensors", "confusion.json", "result.json"])
def test_a_run_killed_while_it_ends_is_completed_by_resume(
    small: Make, tmp_path: Path, name: str, unbroken: Callable[[RunConfig], Path]
) -> None:
    config = small("training.evaluate_every=3")
    whole = unbroken(config)
    synced = os.fsync

    def kill(descriptor: int) -> None:
        if f".{name}." in os.readlink(f"/proc/self/fd/{descriptor}"):
            os.kill(os.getpid(), signal.SIGKILL)
        synced(descriptor)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", kill)
        code = run_in_child(config, tmp_path / "run", lambda event: None)
    assert code == -signal.SIGKILL
    assert find_end(tmp_path / "run") is None
    (run,) = run_cohort({"": config}, tmp_path / "run", resume=True)
    assert_same_bits(whole, run)
    assert evaluation_lines(read_metrics(run)) == evaluation_lines(read_metrics(whole))
    assert read_result(run).miou == read_result(whole).miou
    assert find_pictures(run).keys() == find_pictures(whole).keys()


def test_the_result_is_the_averaged_network_where_there_is_one(
    small: Make, tmp_path: Path, unbroken: Callable[[RunConfig], Path]
) -> None:
    plain = unbroken(small())
    (averaged,) = run_cohort({"": small("training.ema=0.99")}, tmp_path / "averaged")
    assert any(not torch.equal(weights(plain)[k], v) for k, v in weights(averaged).items())


def test_resuming_a_finished_run_says_so_and_changes_nothing(small: Make, tmp_path: Path) -> None:
    (run,) = run_cohort({"": small()}, tmp_path / "run")
    before = (run / RESULT).read_bytes()
    with pytest.raises(
        RunFolderError, match="got this run, finished; accept its results with --res"
    ):
        run_cohort({"": small()}, tmp_path / "run")
    said: list[Event] = []
    run_cohort({"": small()}, tmp_path / "run", resume=True, tell=said.append)
    assert said == [Note(f"{run}: this run is finished; nothing to do")]
    assert (run / RESULT).read_bytes() == before


def test_a_folder_with_anything_else_in_it_is_refused(small: Make, tmp_path: Path) -> None:
    run_cohort({"": small("training.steps=1")}, tmp_path / "run")
    words = r"got different ones: training\.lr 0\.02 \(now 0\.01\); .* choose another folder"
    with pytest.raises(RunFolderError, match=words):
        run_cohort({"": small("training.steps=1", "training.lr=0.01")}, tmp_path / "run")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(RunFolderError, match=r"got one with cat\.jpg; choose another"):
        run_cohort({"": small()}, tmp_path / "photos")
    run_in_child(small("training.log_every=1"), tmp_path / "half", kill_at(3))
    with pytest.raises(RunFolderError, match="got an unfinished run; continue with --resume"):
        run_cohort({"": small("training.log_every=1")}, tmp_path / "half")


@pytest.mark.long
def test_an_interrupt_leaves_a_checkpoint_to_go_on_from(small: Make, tmp_path: Path) -> None:
    config = small("training.checkpoint_every=100", "training.log_every=1")
    run_cohort({"": config}, tmp_path / "whole")

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 3; continue with --resume"):
        run_cohort({"": config}, tmp_path / "run", tell=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    run_cohort({"": config}, tmp_path / "run", resume=True)
    assert_same_bits(tmp_path / "whole", tmp_path / "run")


def test_a_loss_that_is_not_finite_is_named_and_the_last_checkpoint_kept(
    small: Make, tmp_path: Path
) -> None:
    config = small("training.lr=1e30", "training.steps=6", "training.checkpoint_every=1")
    with pytest.raises(TrainingDivergedError, match=r"expected a finite loss, got \w+ = (nan|inf)"):
        run_cohort({"": config}, tmp_path / "run")
    assert find_checkpoints(tmp_path / "run")
    assert find_end(tmp_path / "run") is None


@pytest.mark.long
def test_a_learner_that_diverges_or_is_pruned_leaves_the_bits_of_the_others_alone(
    small: Make, tmp_path: Path
) -> None:
    every = ("training.evaluate_every=2",)
    configs = {
        "lost": small("training.lr=1e30", *every),
        "stays": small(*every),
        "pruned": small("training.lr=0.01", *every),
    }
    asked: list[tuple[str, int]] = []

    def prune(name: str, step: int, miou: float) -> bool:
        asked.append((name, step))
        assert 0 <= miou <= 1
        return name == "pruned" and step == 2

    run_cohort(configs, tmp_path / "cohort", keep_going=True, prune=prune)
    (alone,) = run_cohort({"": small(*every)}, tmp_path / "alone")
    assert_same_bits(alone, tmp_path / "cohort" / "stays")
    assert ("pruned", 2) in asked
    assert ("pruned", 4) not in asked
    pruned = read_pruned(tmp_path / "cohort" / "pruned")
    assert pruned.step == 2
    assert (pruned.seconds or 0.0) > 0
    failure = read_failure(tmp_path / "cohort" / "lost")
    assert "expected a finite loss" in failure.error
    assert failure.error.endswith(
        f"at step {failure.step}; lower training.lr, or set training.clip_norm"
    )
    said: list[Event] = []
    run_cohort(configs, tmp_path / "cohort", resume=True, tell=said.append)
    assert any(isinstance(event, Note) and "finished" in event.text for event in said)


@pytest.mark.long
def test_a_cohort_of_which_one_has_left_resumes_with_the_others(
    small: Make, tmp_path: Path
) -> None:
    configs = {name: small("training.evaluate_every=2", "training.steps=8") for name in "ab"}

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 6:
            raise KeyboardInterrupt

    def prune(name: str, step: int, miou: float) -> bool:
        return name == "a"

    with pytest.raises(KeyboardInterrupt):
        run_cohort(configs, tmp_path / "cohort", tell=stop, prune=prune)
    run_cohort(configs, tmp_path / "cohort", resume=True, prune=prune)
    (alone,) = run_cohort({"": configs["b"]}, tmp_path / "alone")
    assert_same_bits(alone, tmp_path / "cohort" / "b")
    assert find_end(tmp_path / "cohort" / "a") == "pruned"


def test_a_plain_student_is_not_charged_for_the_teacher(small: Make, tmp_path: Path) -> None:
    configs = {"plain": small(distill=[]), "kl": small()}
    results = {
        run.name: read_result(run).as_dict() for run in run_cohort(configs, tmp_path / "run")
    }
    parts = ("own_seconds", "batch_seconds", "teacher_seconds")
    for name, result in results.items():
        own, batch, teacher = (result[part] for part in parts)
        assert min(own, batch, teacher) > 0
        expected = own + batch + (teacher if name == "kl" else 0)
        assert result["seconds"] == pytest.approx(expected)
    assert results["plain"]["teacher_seconds"] == results["kl"]["teacher_seconds"]


def test_a_part_of_the_training_images_can_be_held_out_and_scored(
    small: Make, tmp_path: Path
) -> None:
    config = small("data.train_images=10", "data.holdout=0.2", "evaluation.split=holdout")
    data = build_data(config)
    assert (len(data.train), len(data.evaluation)) == (8, 2)
    assert not {s.name for s in data.train} & {s.name for s in data.evaluation}
    (run,) = run_cohort({"": config}, tmp_path / "run")
    assert read_result(run).images == 2


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["training.device=cuda"], ConfigError, "expected a GPU for cuda, got none"),
        (["distill.0.tap=backbon"], ValueError, "teacher: tap 'backbon'.*did you mean 'backbone'"),
        (["student.backbone=mobilenetv2_03"], ValueError, "mobilenetv2_035"),
        (
            ["student={network: pspnet, backbone: resnet10t, output_stride: 32}"],
            ValueError,
            "student: .*larger crop",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_a_folder_is_made(
    small: Make, tmp_path: Path, words: list[str], error: type[Exception], message: str
) -> None:
    if torch.cuda.is_available() and "cuda" in words[0]:
        pytest.skip("there is a GPU")
    with pytest.raises(error, match=message):
        run_cohort({"": small(*words)}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_split_without_labels_is_refused_before_anything_is_trained(
    small: Make, tmp_path: Path
) -> None:
    for split, value in (("train", 1), ("val", 255)):
        for index in range(4):
            mask = np.full((48, 64), value, np.uint8)
            mask[:24] = 255 if split == "val" else 0
            for kind, array in (("images", np.stack([mask] * 3, axis=2)), ("masks", mask)):
                file = tmp_path / f"data/{split}/{kind}/{index}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(file)
    (tmp_path / "data/classes.txt").write_text("sky\nroad\n")
    data = {"dataset": "folder", "root": str(tmp_path / "data"), "crop": [32, 48], "batch_size": 2}
    config = small(data=data)
    message = "val: expected pixels with a class, got masks of 255 alone"
    with pytest.raises(DataError, match=message):
        run_cohort({"": config}, tmp_path / "run")
    with pytest.raises(DataError, match=message):
        try_cohort({"": config})
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_is_refused(small: Make, tmp_path: Path) -> None:
    config = small()
    assert config.teacher is not None
    save_network(tmp_path / "t.safetensors", build_network(config.teacher, classes=5), {})
    words = (f"teacher.weights={tmp_path / 't.safetensors'}", "teacher.untrained=false")
    with pytest.raises(Exception, match=r"classifier\.weight.*5.*11"):
        run_cohort({"": small(*words)}, tmp_path / "run")


def test_a_cohort_that_does_not_share_its_batches_is_refused(small: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cohort.b: expected the same data, teacher"):
        run_cohort({"a": small(), "b": small("data.seed=1")}, tmp_path / "run")


def test_metrics_are_lines_of_json_with_every_part(small: Make, tmp_path: Path) -> None:
    (run,) = run_cohort({"": small()}, tmp_path / "run")
    lines = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    for line in lines:
        assert set(line["parts"]) == {"task", "layer_angular", "pixelwise_kl"}
        assert line["loss"] == pytest.approx(sum(line["parts"].values()))


def test_unlabelled_images_fill_a_part_of_each_batch(small: Make, tmp_path: Path) -> None:
    from segdistill.data.pictures import write_image

    folder = tmp_path / "photos" / "train"
    folder.mkdir(parents=True)
    for place in range(3):
        picture = np.full((48, 64, 3), 80 * place, dtype=np.uint8)
        write_image(folder / f"{place}.png", picture)
    source = f"{{dataset: images, root: {tmp_path / 'photos'}, per_batch: 2}}"
    config = small(f"data.unlabelled={source}", "training.steps=2")
    batch = build_data(config).stream.batch(0)
    assert len(batch.images) == 4
    assert (batch.labels[2:] == 255).all()
    (run,) = run_cohort({"": config}, tmp_path / "run")
    assert config.hash() != small("training.steps=2").hash()
    words = (f"data.unlabelled={source}", "data.unlabelled.labels=teacher", "training.steps=2")
    labelled = small(*words, distill=[{"loss": "intra_class_variation"}])
    run_cohort({"": labelled}, tmp_path / "labelled")
    assert read_result(run).skipped_images == ()


@pytest.mark.long
def test_after_a_resume_logs_go_on_as_if_there_had_been_no_break(
    small: Make, tmp_path: Path
) -> None:
    config = small("training.log_every=3", "training.checkpoint_every=2")
    run_cohort({"": config}, tmp_path / "whole")
    assert run_in_child(config, tmp_path / "killed", kill_after_checkpoint(2)) == -signal.SIGKILL
    run_cohort({"": config}, tmp_path / "killed", resume=True)
    logged = {}
    for name in ("whole", "killed"):
        lines = train_lines(read_metrics(tmp_path / name))
        logged[name] = [(line.step, line.loss, line.parts) for line in lines]
        table = (tmp_path / name / "logs" / "metrics.csv").read_text()
        logged[f"{name}.csv"] = table
    assert logged["whole"] == logged["killed"]
    assert logged["whole.csv"] == logged["killed.csv"]
    assert [step for step, *_ in logged["whole"]] == [3, 6]


def test_images_skipped_before_a_resume_are_in_the_result(small: Make, tmp_path: Path) -> None:
    config = small()
    data = build_data(config)
    data.stream.skipped[3] = "c.png: cut off"
    taken = data.stream.skipped_images()
    again = build_data(config).stream
    again.restore_skipped(taken)
    assert again.skipped == {3: "c.png: cut off"}
    run_in_child(config, tmp_path / "run", kill_after_checkpoint(2))
    (newest, *_) = find_checkpoints(tmp_path / "run").values()
    state = load_checkpoint(newest) | {"skipped": taken}
    for step, file in find_checkpoints(tmp_path / "run").items():
        file.unlink()
        save_checkpoint(tmp_path / "run", step, state)
    run_cohort({"": config}, tmp_path / "run", resume=True)
    assert read_result(tmp_path / "run").skipped_images == ("c.png: cut off",)
