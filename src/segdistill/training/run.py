"""A run: from checked configs to run folders, resumable at any moment."""

from __future__ import annotations

import io
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import yaml
from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.data import Stream
from segdistill.data.pictures import write_image, write_mask
from segdistill.errors import CheckpointError, ConfigError, RunFolderError
from segdistill.evaluation.evaluator import OnImage, Result, evaluate
from segdistill.files import read_json, write_json, write_whole
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.build import Data, build_cohort, build_data, save_student
from segdistill.training.checkpoint import (
    checkpoints,
    load_checkpoint,
    save_checkpoint,
    step_of,
)
from segdistill.training.cohort import Step, fit
from segdistill.training.events import Evaluated, Note, Progress, Tell, silent
from segdistill.training.learner import Learner
from segdistill.training.optim import learning_rate
from segdistill.training.prepare import prepare
from segdistill.training.runlog import RunLog, build_loggers
from segdistill.types import Sample, SegDataset

MOST_COUNTS_MIB = 64  # 101 images of 11 classes take 0.1, 2000 of 150 would take 343


@dataclass
class Run:
    """One learner on its way, and its folder."""

    config: RunConfig
    folder: Path
    learner: Learner
    log: RunLog
    seconds: float = 0.0
    prepare_seconds: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)


def run_cohort(
    configs: Mapping[str, RunConfig],
    out: Path,
    *,
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train the learners of a cohort, each into its own run folder.

    Args:
        configs: by learner. They share data, teacher and all of ``training`` that shapes the
            batch or the machine; a single learner may be named ``""``.
        out: folder of the cohort; a learner's run is ``out/<name>``, or ``out`` itself where
            the name is ``""``.
        resume: go on where an interrupted run of the same configs stopped.
        tell: called with what happens.

    Returns:
        The run folders, in the order of the configs.

    Raises:
        ConfigError: the configs do not share what a cohort shares.
        RunFolderError: a folder holds another run, or a run and ``resume`` was not asked.
        KeyboardInterrupt: interrupted; a checkpoint was written.
        TrainingDivergedError: a loss is not finite; the last checkpoint stays.
        DataError, ValueError, CheckpointError: from data and networks, before any folder is
            made.
    """
    first = _shared(configs)
    folders = {name: out / name if name else out for name in configs}
    for name, config in configs.items():
        _check_folder(folders[name], config, resume=resume)
    if all((folder / "result.json").exists() for folder in folders.values()):
        tell(Note(f"{out}: this run is finished; nothing to do"))
        return list(folders.values())
    fabric = build_fabric(first)
    data = build_data(first)
    teacher, learners = prepare_cohort(configs, data, fabric, tell)
    start, states = _find_start(list(folders.values()), tell) if resume else (0, [])
    runs = []
    for learner, (name, config) in zip(learners, configs.items(), strict=True):
        folder = folders[name]
        if fabric.is_global_zero:
            _prepare_folder(folder, config)
        fabric.barrier()
        loggers = build_loggers(folder, start=start, tensorboard=config.training.tensorboard)
        runs.append(Run(config, folder, learner, RunLog(folder, start=start, loggers=loggers)))
    for run, state in zip(runs, states, strict=False):
        run.learner.restore(state["learner"])
        run.seconds, run.best = state["seconds"], state["best"]
        run.prepare_seconds = state["prepare_seconds"]
        fabric.strategy.precision.load_state_dict(state["precision"])
    with _interruptible() as interrupted:
        watcher = _Watcher(runs, data, fabric, tell, interrupted)
        if teacher is not None:
            watcher.prepare(teacher)
        done = fit(
            teacher,
            learners,
            data.stream,
            fabric=fabric,
            steps=first.training.steps,
            start=start,
            workers=first.data.workers,
            accumulate=first.training.accumulate,
            after=watcher,
        )
    if done < first.training.steps:
        raise KeyboardInterrupt(f"stopped after step {done}; go on with --resume")
    for run in runs:
        if fabric.is_global_zero:
            _finish(run, data, fabric, tell)
    fabric.barrier()
    return list(folders.values())


def prepare_cohort(
    configs: Mapping[str, RunConfig], data: Data, fabric: Fabric, tell: Tell
) -> tuple[FrozenTeacher | None, list[Learner]]:
    """Build teacher and learners on the fabric's device and say what was inserted."""
    teacher, learners = build_cohort(configs, data.train.classes)
    section = next(iter(configs.values())).teacher
    if teacher is not None and section is not None and section.weights is None:
        tell(Note("teacher: no weights were given, so it knows what its own library loads"))
    for learner in learners:
        for name, term in learner.objective.terms.items():
            if term.inserted:
                tell(Note(f"{learner.name or 'student'}: {name} gets a {term.inserted}"))
        learner.to_device(fabric)
    return None if teacher is None else fabric.to_device(teacher), learners


class _Watcher:
    """What happens after a step: log, score, checkpoint, stop."""

    def __init__(
        self, runs: list[Run], data: Data, fabric: Fabric, tell: Tell, interrupted: list[int]
    ) -> None:
        self.runs, self.data, self.fabric, self.tell = runs, data, fabric, tell
        self.interrupted = interrupted
        self.config = runs[0].config
        self.stage = f"training {' '.join(run.learner.name or run.folder.name for run in runs)}"
        self.steps_since, self.seconds_since = 0, 0.0

    def __call__(self, step: Step) -> bool:
        training = self.config.training
        last = step.done == training.steps
        self._note(step)
        if step.done % training.log_every == 0 or last:
            self._log(step)
        if training.evaluate_every and (step.done % training.evaluate_every == 0 or last):
            for run in self.runs:
                self._score(run, step.done)
        stop = bool(self.interrupted)
        if step.done % training.checkpoint_every == 0 or last or stop:
            self._checkpoint(step.done)
        return not stop

    def prepare(self, teacher: FrozenTeacher) -> None:
        """Run the stage before training of every learner that has one, resumable as well."""
        for run in self.runs:

            def after(done: int, steps: int, loss: float, seconds: float, run: Run = run) -> None:
                run.seconds += seconds
                run.prepare_seconds += seconds
                stop = bool(self.interrupted)
                if done % self.config.training.checkpoint_every == 0 or done == steps or stop:
                    self._checkpoint(0)
                name = run.learner.name or run.folder.name
                self.tell(Progress(f"preparing {name}", done, steps, {name: loss}))
                if stop:
                    raise KeyboardInterrupt("stopped while preparing; go on with --resume")

            prepare(run.learner, teacher, self.data.stream, fabric=self.fabric, after=after)

    def _note(self, step: Step) -> None:
        self.steps_since += 1
        self.seconds_since += step.seconds
        shared = step.seconds - sum(step.learner_seconds.values())
        for run in self.runs:
            run.seconds += shared + step.learner_seconds[run.learner.name]
            for name, loss in step.losses[run.learner.name].items():
                run.sums[name] = run.sums.get(name, 0.0) + loss

    def _log(self, step: Step) -> None:
        rate = self.steps_since * self.config.data.batch_size / self.seconds_since
        totals = {}
        for run in self.runs:
            parts = {name: value / self.steps_since for name, value in run.sums.items()}
            totals[run.learner.name] = sum(parts.values())
            run.sums = {}
            if self.fabric.is_global_zero:
                run.log.train(
                    step.done,
                    parts,
                    lr=learning_rate(step.done - 1, run.config.training),
                    images_per_second=rate,
                    seconds=run.seconds,
                )
        self.steps_since, self.seconds_since = 0, 0.0
        self.tell(Progress(self.stage, step.done, self.config.training.steps, totals, rate))

    def _score(self, run: Run, step: int) -> None:
        if self.fabric.is_global_zero:
            result = _evaluate(run, self.data, self.fabric)
            split, scores = run.config.evaluation.split, result.scores
            run.log.evaluation(step, split, miou=scores.miou, pixel_accuracy=scores.pixel_accuracy)
            self.tell(Evaluated(run.learner.name, step, split, scores.miou))
            if scores.miou > run.best.get("miou", -1.0):
                run.best = {"step": step, "miou": scores.miou}
                file = run.folder / "checkpoints" / "best.safetensors"
                save_student(file, run.learner.result, run.config, self.data.train.classes)
        self.fabric.barrier()

    def _checkpoint(self, step: int) -> None:
        if self.fabric.is_global_zero:
            for run in self.runs:
                state = {
                    "learner": run.learner.state(),
                    "seconds": run.seconds,
                    "prepare_seconds": run.prepare_seconds,
                    "best": run.best,
                    "precision": self.fabric.strategy.precision.state_dict(),
                }
                save_checkpoint(run.folder / "checkpoints", step, state)
        self.fabric.barrier()


def _write_image_counts(file: Path, result: Result) -> None:
    """Write the confusion matrix of each image: arrays ``counts`` (N, K, K) and ``names``."""
    buffer = io.BytesIO()
    counts = np.asarray(result.image_counts)
    np.savez_compressed(buffer, counts=counts, names=np.array(result.image_names))
    write_whole(file, buffer.getvalue())


def _evaluate(run: Run, data: Data, fabric: Fabric, *, on_image: OnImage | None = None) -> Result:
    settings = run.config.evaluation
    return evaluate(
        run.learner.result,
        data.evaluation,
        device=fabric.device,
        precision=run.config.training.precision,
        scales=settings.scales,
        flip=settings.flip,
        window=settings.window,
        on_image=on_image,
        keep_images=on_image is not None and _counts_mib(data.evaluation) < MOST_COUNTS_MIB,
    )


def _finish(run: Run, data: Data, fabric: Fabric, tell: Tell) -> None:
    classes = data.train.classes
    shown = _spread(len(data.evaluation), run.config.evaluation.pictures)

    pictures = run.folder / "predictions"
    pictures.mkdir(exist_ok=True)

    def keep(index: int, sample: Sample, prediction: np.ndarray) -> None:
        if index in shown and sample.mask is not None:
            write_image(pictures / f"{sample.name}_input.jpg", sample.image)
            write_mask(pictures / f"{sample.name}_truth.png", sample.mask, classes)
            write_mask(pictures / f"{sample.name}_prediction.png", prediction, classes)

    result = _evaluate(run, data, fabric, on_image=keep)
    if result.image_counts is not None:
        _write_image_counts(run.folder / "confusion_images.npz", result)
    save_student(run.folder / "model.safetensors", run.learner.result, run.config, classes)
    write_json(run.folder / "confusion.json", result.confusion_as_dict())
    config = run.config
    values = result.as_dict() | {
        "name": run.learner.name or run.folder.name,
        "method": "+".join(term.loss for term in config.distill) or "plain",
        "split": config.evaluation.split,
        "step": config.training.steps,
        "steps": config.training.steps,
        "seconds": run.seconds,
        "prepare_seconds": run.prepare_seconds,
        "evaluation_seconds": result.seconds,
        "peak_memory_mib": peak_memory_mib(fabric.device),
        "best": run.best or None,
        "skipped_images": sorted(_skipped(data.stream)),
        "config_hash": config.hash(),
        "seed": config.training.seed,
        "data_seed": config.data.seed,
    }
    write_json(run.folder / "result.json", values)
    run.log.close()
    split = config.evaluation.split
    tell(Evaluated(run.learner.name, config.training.steps, split, result.scores.miou))


def _skipped(stream: Stream) -> Iterator[str]:
    yield from stream.skipped.values()
    if stream.unlabelled is not None:
        yield from stream.unlabelled.skipped.values()


def _counts_mib(dataset: SegDataset) -> float:
    """Return what the confusion matrices of all images take."""
    return len(dataset) * len(dataset.classes) ** 2 * 8 / 2**20


def _spread(count: int, wanted: int) -> set[int]:
    """Return indices spread evenly over a dataset."""
    wanted = min(count, wanted)
    return {(2 * place + 1) * count // (2 * wanted) for place in range(wanted)}


def _shared(configs: Mapping[str, RunConfig]) -> RunConfig:
    """Return the first config after checking that the others share what a cohort shares."""
    if not configs:
        raise ConfigError("cohort: expected at least one learner, got none")
    first_name, first = next(iter(configs.items()))
    own = {"optimizer", "lr", "momentum", "weight_decay", "decay_norms_and_biases", "schedule"}
    own |= {"power", "warmup_steps", "clip_norm", "ema", "auxiliary_weight", "label_smoothing"}
    own |= {"seed"}
    for name, config in configs.items():
        same = config.data == first.data and config.evaluation == first.evaluation
        same &= config.teacher == first.teacher
        same &= config.training.model_dump(exclude=own) == first.training.model_dump(exclude=own)
        if not same:
            raise ConfigError(
                f"cohort.{name}: expected data, teacher, evaluation and the shared part of "
                f"training as in '{first_name}', got others; run it by itself"
            )
    return first


def _check_folder(folder: Path, config: RunConfig, *, resume: bool) -> None:
    """Refuse a folder that holds anything but this run, interrupted or finished."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "resolved.yaml").exists():
        names = sorted(entry.name for entry in folder.iterdir())
        raise RunFolderError(
            f"{folder}: expected a new or empty folder, got {', '.join(names[:3])} in it; "
            "choose another with --out"
        )
    other = str(read_json(folder / "environment.json").get("config_hash"))
    if other != config.hash():
        raise RunFolderError(
            f"{folder}: expected the run {config.hash()}, got another run {other} in it; "
            "choose another folder with --out"
        )
    if not resume and not (folder / "result.json").exists():
        raise RunFolderError(
            f"{folder}: expected a new folder, got an unfinished run; "
            "go on with --resume, or choose another folder with --out"
        )


def _prepare_folder(folder: Path, config: RunConfig) -> None:
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_json(folder / "environment.json", environment() | {"config_hash": config.hash()})
    write_whole(folder / "resolved.yaml", yaml.safe_dump(config.tree(), sort_keys=False))


def environment() -> dict[str, Any]:
    """Describe the machine and the libraries that a result came from."""
    packages = ("segdistill", "torch", "torchvision", "timm", "lightning-fabric", "numpy")
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in packages},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": sys.argv[:1] and [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def peak_memory_mib(device: torch.device) -> float:
    """Return the most memory used: of the GPU, or of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # ru_maxrss is in kibibytes on Linux, in bytes on macOS.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _find_start(folders: list[Path], tell: Tell) -> tuple[int, list[dict[str, Any]]]:
    """Return the newest step at which every learner has a whole checkpoint, and the states."""
    if not any((folder / "resolved.yaml").exists() for folder in folders):
        return 0, []
    common = set.intersection(
        *({step_of(file) for file in checkpoints(folder / "checkpoints")} for folder in folders)
    )
    for step in sorted(common, reverse=True):
        try:
            states = [
                load_checkpoint(folder / "checkpoints" / f"step-{step:08d}.pt")
                for folder in folders
            ]
        except CheckpointError as error:
            tell(Note(f"{error}; trying the one before"))
            continue
        tell(Note(f"resuming after step {step}"))
        return step, states
    tell(Note("no whole checkpoint to resume from; starting at step 0"))
    return 0, []


def build_fabric(config: RunConfig) -> Fabric:
    """Return the fabric that a config asks for, launched.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    training = config.training
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device: expected a GPU for cuda, got none; use training.device=cpu"
        )
    cuda = training.device != "cpu" and torch.cuda.is_available()
    if cuda and training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=training.devices,
        precision=training.precision,
    )
    fabric.launch()
    return fabric


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Turn the first Ctrl-C or SIGTERM into an entry of a list; a second one interrupts."""
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {number: signal.signal(number, note) for number in signals}
    except ValueError:  # not in the main thread: whoever owns that one handles signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
