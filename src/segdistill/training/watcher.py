"""What a run does beside training: log, score, checkpoint, stop, and write its result."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.data import Stream
from segdistill.data.pictures import write_image, write_mask
from segdistill.errors import TrainingDivergedError
from segdistill.evaluation.evaluator import OnImage, Result, evaluate
from segdistill.files import write_json, write_whole
from segdistill.memory import peak_memory_mib
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.build import Data, save_student
from segdistill.training.checkpoint import save_checkpoint
from segdistill.training.cohort import Step
from segdistill.training.energy import EnergyMeter
from segdistill.training.events import Evaluated, Note, Progress, Tell
from segdistill.training.learner import Learner
from segdistill.training.optim import learning_rate
from segdistill.training.prepare import prepare
from segdistill.training.runlog import RunLog
from segdistill.types import Sample, SegDataset

MOST_COUNTS_MIB = 64  # 101 images of 11 classes take 0.1, 2000 of 150 would take 343


Prune = Callable[[str, int, float], bool]
"""Whether a learner shall leave its cohort: its name, steps finished, mIoU on the split."""


def never(name: str, step: int, miou: float) -> bool:
    """Keep every learner to the end."""
    return False


@dataclass
class Spent:
    """What a learner has cost so far.

    Attributes:
        own_seconds: its own steps, and its stage before training.
        batch_seconds: waiting for batches, once for the cohort.
        teacher_seconds: the teacher's forward, once for the cohort.
        prepare_seconds: of ``own_seconds``, the stage before training.
        joules: of the device while it would have trained alone; None without a meter.
    """

    own_seconds: float = 0.0
    batch_seconds: float = 0.0
    teacher_seconds: float = 0.0
    prepare_seconds: float = 0.0
    joules: float | None = None

    def add_joules(self, joules: float | None) -> None:
        """Add a reading of the meter, if there is one."""
        if joules is not None:
            self.joules = (self.joules or 0.0) + joules


@dataclass
class Run:
    """One learner on its way, and its folder."""

    config: RunConfig
    folder: Path
    learner: Learner
    log: RunLog
    spent: Spent = field(default_factory=Spent)
    best: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """What training took, or would have taken without the rest of the cohort.

        A student that learns nothing from the teacher is not charged for it.
        """
        spent = self.spent
        teacher = spent.teacher_seconds if self.config.distill else 0.0
        return spent.own_seconds + spent.batch_seconds + teacher


class Watcher:
    """What happens after a step: log, score, checkpoint, stop."""

    def __init__(
        self,
        runs: list[Run],
        data: Data,
        fabric: Fabric,
        tell: Tell,
        interrupted: list[int],
        *,
        prune: Prune = never,
    ) -> None:
        self.runs, self.data, self.fabric, self.tell = runs, data, fabric, tell
        self.learners = [run.learner for run in runs]
        self.interrupted, self.prune = interrupted, prune
        self.meter = EnergyMeter(fabric.device)
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
            for run in tuple(self.runs):
                miou = self._score(run, step.done)
                if not last and self.prune(run.learner.name, step.done, miou):
                    self._leave(run, "pruned.json", {"step": step.done, "miou": miou})
                    self.learners.remove(run.learner)
        stop = bool(self.interrupted)
        if step.done % training.checkpoint_every == 0 or last or stop:
            self._checkpoint(step.done)
        self.meter.joules()  # what scores and checkpoints took is no part of the next step
        return not stop

    def lose(self, learner: Learner, error: TrainingDivergedError) -> None:
        """Note that a learner diverged and leaves the cohort."""
        run = next(run for run in self.runs if run.learner is learner)
        self.tell(Note(f"{error}; the others go on"))
        self._leave(run, "failed.json", {"error": str(error)})

    def _leave(self, run: Run, file: str, found: dict[str, Any]) -> None:
        write_json(run.folder / file, found | _cost(run) | {"config_hash": run.config.hash()})
        run.log.close()
        self.runs.remove(run)

    def prepare(self, teacher: FrozenTeacher) -> None:
        """Run the stage before training of every learner that has one, resumable as well."""
        for run in self.runs:

            def after(done: int, steps: int, loss: float, seconds: float, run: Run = run) -> None:
                run.spent.own_seconds += seconds
                run.spent.prepare_seconds += seconds
                run.spent.add_joules(self.meter.joules())
                stop = bool(self.interrupted)
                if done % self.config.training.checkpoint_every == 0 or done == steps or stop:
                    self._checkpoint(0)
                self.meter.joules()
                name = run.learner.name or run.folder.name
                self.tell(Progress(f"preparing {name}", done, steps, {name: loss}))
                if stop:
                    raise KeyboardInterrupt("stopped while preparing; go on with --resume")

            prepare(run.learner, teacher, self.data.stream, fabric=self.fabric, after=after)

    def _note(self, step: Step) -> None:
        self.steps_since += 1
        self.seconds_since += step.seconds
        joules = self.meter.joules()
        batch = step.seconds - step.teacher_seconds - sum(step.learner_seconds.values())
        for run in self.runs:
            spent, before = run.spent, run.seconds
            spent.own_seconds += step.learner_seconds[run.learner.name]
            spent.batch_seconds += batch
            spent.teacher_seconds += step.teacher_seconds
            if joules is not None:
                spent.add_joules(joules * (run.seconds - before) / step.seconds)
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

    def _score(self, run: Run, step: int) -> float:
        miou = 0.0
        if self.fabric.is_global_zero:
            result = _evaluate(run, self.data, self.fabric)
            split, scores = run.config.evaluation.split, result.scores
            miou = scores.miou
            run.log.evaluation(step, split, miou=miou, pixel_accuracy=scores.pixel_accuracy)
            self.tell(Evaluated(run.learner.name, step, split, miou))
            if miou > run.best.get("miou", -1.0):
                run.best = {"step": step, "miou": miou}
                file = run.folder / "checkpoints" / "best.safetensors"
                save_student(file, run.learner.result, run.config, self.data.train.classes)
        self.fabric.barrier()
        return miou

    def _checkpoint(self, step: int) -> None:
        if self.fabric.is_global_zero:
            for run in self.runs:
                state = {
                    "learner": run.learner.state(),
                    "spent": asdict(run.spent),
                    "best": run.best,
                    "precision": self.fabric.strategy.precision.state_dict(),
                }
                save_checkpoint(run.folder / "checkpoints", step, state)
        self.fabric.barrier()


def finish(run: Run, data: Data, fabric: Fabric, tell: Tell) -> None:
    """Score a trained learner and write its student, pictures and ``result.json``, that last."""
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
        **_cost(run),
        "energy_source": EnergyMeter(fabric.device).source,
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


def _cost(run: Run) -> dict[str, float | None]:
    """Return what training took, the energy in the unit that is paid for."""
    spent: dict[str, float | None] = asdict(run.spent)
    joules = spent.pop("joules")
    kwh = None if joules is None else joules / 3.6e6
    return {"seconds": run.seconds, **spent, "energy_kwh": kwh}


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


def _write_image_counts(file: Path, result: Result) -> None:
    """Write the confusion matrix of each image: arrays ``counts`` (N, K, K) and ``names``."""
    buffer = io.BytesIO()
    counts = np.asarray(result.image_counts)
    np.savez_compressed(buffer, counts=counts, names=np.array(result.image_names))
    write_whole(file, buffer.getvalue())


def _counts_mib(dataset: SegDataset) -> float:
    """Return what the confusion matrices of all images take."""
    return len(dataset) * len(dataset.classes) ** 2 * 8 / 2**20


def _skipped(stream: Stream) -> Iterator[str]:
    yield from stream.skipped.values()
    if stream.unlabelled is not None:
        yield from stream.unlabelled.skipped.values()


def _spread(count: int, wanted: int) -> set[int]:
    """Return indices spread evenly over a dataset."""
    wanted = min(count, wanted)
    return {(2 * place + 1) * count // (2 * wanted) for place in range(wanted)}
