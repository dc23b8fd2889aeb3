"""The step at which a run diverged: its batch, the teacher's maps and the learner's state.

``segdistill replay RUN`` repeats the step and reports where values first stop being finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from segdistill.config import RunConfig
from segdistill.config.loading import check_saved
from segdistill.data import Stream
from segdistill.errors import CheckpointError, TrainingDivergedError
from segdistill.models.frozen import FrozenTeacher
from segdistill.runs.replay import KeptStep, read_step, replay_file, write_step
from segdistill.runs.student import student_file
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, build_cohort, build_data, describe_student, taps_of
from segdistill.training.cohort import Cut, Step, cut, fit, places_of, teach, to_float
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.finished_run import RunFiles, check_code
from segdistill.training.learner import Learner
from segdistill.training.teacher_cache import TeacherCache
from segdistill.trust import own_words
from segdistill.types import IGNORE_INDEX, Batch, TapMaps

MOST_MIB = 512  # enough for a student of 60 million parameters, a batch and its logits


@dataclass(frozen=True)
class Replayed:
    """The outcome of repeating the step.

    Attributes:
        step: steps finished before.
        error: the error message; empty if the losses are finite this time.
        first: modules and maps with values that are not finite, in the order of the forward.
    """

    step: int
    error: str
    first: tuple[str, ...]


def write_replay(
    run: ActiveRun, data: Data, teacher: FrozenTeacher | None, step: int, fabric: Fabric
) -> Path | None:
    """Write ``replay.pt``; return its path, or None if it would be too large.

    The teacher's maps are left out where they alone would make it too large. All processes call
    this together, because a sharded teacher runs in all of them; the first one writes.

    Args:
        run: the run whose learner diverged and has not been updated since.
        data: the data that the batch comes from.
        teacher: the cohort's teacher.
        step: number of steps finished before.
        fabric: device and processes.
    """
    batch = data.stream.batch(step)
    state = {part: _on_cpu(values) for part, values in run.learner.state_of_losses().items()}
    size = sum(_bytes(part) for part in (batch._asdict(), *state.values()))
    left = MOST_MIB * 2**20 - size
    if left < 0:
        return None
    training = run.config.training
    parts = batch.images.chunk(training.accumulate * training.devices)
    taps = taps_of([run.config])
    maps = _maps_of(teacher, taps, parts, fabric, left) if taps else {}
    if not fabric.is_global_zero:
        return None
    student = describe_student(run.learner.network, run.config)
    return write_step(run.folder, KeptStep(step, student, batch._asdict(), maps, state))


def _maps_of(
    teacher: FrozenTeacher | None,
    taps: Sequence[str],
    parts: Sequence[Tensor],
    fabric: Fabric,
    most_bytes: int,
) -> dict[str, Tensor] | None:
    """Return the teacher's maps of a batch on the CPU, or None if they are too large."""
    found: dict[str, list[Tensor]] = {tap: [] for tap in taps}
    for images in parts:
        maps = teach(teacher, to_float(fabric.to_device(images)), fabric)
        for tap, values in found.items():
            values.append(maps[tap].cpu())
        if sum(_bytes(dict(enumerate(values))) for values in found.values()) > most_bytes:
            return None
    return {tap: torch.cat(values) for tap, values in found.items()}


def replay(run: Path, overrides: Sequence[str] = (), trust: Collection[str] = ()) -> Replayed:
    """Repeat the step of ``replay.pt`` on this machine; see :func:`segdistill.replay`."""
    from segdistill.training.run import prepare_cohort

    kept, file = read_step(run), replay_file(run)
    words = (*overrides, "training.devices=1")
    config = RunFiles(run, student_file(run)).config(words)
    trusted = own_words(words, trust)
    student = check_saved(kept.student, file, trusted)
    student = student.model_copy(update={"weights": None, "backbone_weights": None})
    config = config.model_copy(update={"student": student})
    check_code(config, trusted, run)

    fabric = build_fabric(config)
    data = build_data(config)
    batch = _check_batch(file, kept, config, classes=len(data.train.classes))
    configs = {"": config}
    teacher: FrozenTeacher | None = None
    cache: TeacherCache | None = None
    if kept.maps is None:
        teacher, learners = prepare_cohort(configs, data, fabric, silent)
    else:
        maps = _check_maps(file, kept.maps, len(batch.images), taps_of([config]))
        classes = data.train.classes
        _, learners = build_cohort(configs, classes, train=data.train, maps=maps)
        learners[0].to_device(fabric)
        parts = cut(places_of(data.stream, fabric), config.training.accumulate)
        maps = {tap: fabric.to_device(values) for tap, values in maps.items()}
        cache = cast("TeacherCache", _KeptMaps(maps, parts))
    _restore(file, learners[0], kept)
    return _repeat(kept, config, data, batch, fabric, teacher, learners, cache)


def _repeat(
    kept: KeptStep,
    config: RunConfig,
    data: Data,
    batch: Batch,
    fabric: Fabric,
    teacher: FrozenTeacher | None,
    learners: list[Learner],
    cache: TeacherCache | None,
) -> Replayed:
    learner = learners[0]
    first = [
        f"weight {name}"
        for part in (learner.network, learner.objective)
        for name, value in part.state_dict().items()
        if _is_broken(value)
    ]
    maps = kept.maps
    if maps is None:
        maps = teach(teacher, to_float(fabric.to_device(batch.images)), fabric)
    first += [f"teacher's map {tap}" for tap, values in maps.items() if _is_broken(values)]
    losses: dict[str, float] = {}

    def keep(done: Step) -> bool:
        losses.update(done.losses[""])
        return False

    error = ""
    try:
        with _watched(learner.network, first):
            fit(
                teacher,
                learners,
                cast("Stream", _KeptBatch(data.stream, batch)),
                fabric=fabric,
                cache=cache,
                steps=kept.step + 1,
                start=kept.step,
                accumulate=config.training.accumulate,
                after=keep,
            )
    except TrainingDivergedError as diverged:
        error = str(diverged)
    broken = [f"{part} = {loss}" for part, loss in losses.items() if not math.isfinite(loss)]
    return Replayed(kept.step, error or ", ".join(broken), tuple(first))


@dataclass(frozen=True)
class _KeptBatch:
    """A stand-in for a stream, with the methods :func:`fit` needs and one stored batch."""

    stream: Stream
    batch: Batch

    @property
    def batch_size(self) -> int:
        return self.stream.batch_size

    @property
    def unlabelled(self) -> Stream | None:
        return self.stream.unlabelled

    def loader(self, *given: object, **named: object) -> Iterator[Batch]:
        yield self.batch


@dataclass(frozen=True)
class _KeptMaps:
    """A stand-in for a cache of the teacher's maps, with those of the stored batch."""

    stored: TapMaps
    parts: Sequence[Cut]

    def batch(self, *given: object) -> _KeptMaps:
        return self

    def maps(self, compute: Callable[[], TapMaps], part: int) -> TapMaps:
        if len(self.parts) == 1:
            return self.stored
        return {tap: values[self.parts[part].rows] for tap, values in self.stored.items()}


def _check_batch(file: Path, kept: KeptStep, config: RunConfig, classes: int) -> Batch:
    """Return the stored batch after checking that the run's config can have it.

    Raises:
        CheckpointError: it cannot.
    """
    steps = config.training.steps
    if not 0 <= kept.step < steps:
        raise CheckpointError(
            f"{file}: expected a step of the run, 0 to {steps - 1}, got {kept.step}; it belongs to "
            "another run"
        )
    size = (config.data.batch_size, *config.data.crop)
    wanted = {
        "images": ((size[0], 3, *size[1:]), torch.uint8),
        "labels": (size, torch.int64),
        "valid": (size, torch.bool),
    }
    for name, (shape, dtype) in wanted.items():
        value = kept.batch.get(name)
        if not (isinstance(value, Tensor) and value.shape == shape and value.dtype == dtype):
            raise CheckpointError(
                f"{file}: expected {name} {shape} of {dtype} in the batch, got {_said(value)}; it "
                "belongs to another run"
            )
    batch = Batch(*(kept.batch[name] for name in wanted))
    wrong = (batch.labels < 0) | (batch.labels >= classes) & (batch.labels != IGNORE_INDEX)
    if bool(wrong.any()):
        raise CheckpointError(
            f"{file}: expected labels of {classes} classes or {IGNORE_INDEX}, got "
            f"{int(batch.labels[wrong][0])}; it belongs to another run"
        )
    return batch


def _check_maps(
    file: Path, maps: Mapping[str, Any], images: int, taps: Sequence[str]
) -> dict[str, Tensor]:
    """Return the stored maps of the taps.

    Raises:
        CheckpointError: one is missing, or no map of this many images.
    """
    for tap in taps:
        value = maps.get(tap)
        if not isinstance(value, Tensor) or not _is_map(value, images):
            raise CheckpointError(
                f"{file}: expected the teacher's map {tap} of {images} images, got "
                f"{_said(value)}; it belongs to another run"
            )
    return {tap: maps[tap] for tap in taps}


def _restore(file: Path, learner: Learner, kept: KeptStep) -> None:
    try:
        learner.restore_losses(kept.state)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise CheckpointError(
            f"{file}: expected the state of this run, got another "
            f"({type(error).__name__}: {reason[:200]})"
        ) from error


def _is_map(value: Tensor, images: int) -> bool:
    fits = value.is_floating_point() and value.ndim == 4 and len(value) == images
    return fits and value.numel() > 0


def _said(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {value.dtype}"
    return "none" if value is None else type(value).__name__


def _on_cpu(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.detach().cpu() if isinstance(value, Tensor) else value
        for name, value in state.items()
    }


def _bytes(values: Mapping[Any, Any]) -> int:
    return sum(value.nbytes for value in values.values() if isinstance(value, Tensor))


def _is_broken(value: object) -> bool:
    return (
        isinstance(value, Tensor) and value.is_floating_point() and not bool(value.isfinite().all())
    )


@contextmanager
def _watched(network: nn.Module, first: list[str]) -> Iterator[None]:
    """Record the layers whose outputs are not finite, in the order of the forward."""
    handles = []
    for name, module in network.named_modules():
        if next(module.children(), None) is not None:
            continue

        def note(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
            if _is_broken(output):
                first.append(f"output of {name}")

        handles.append(module.register_forward_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
