"""What happens between the steps of a cohort: log, score, checkpoint, leave, stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lightning_fabric import Fabric

from segdistill.errors import TrainingDivergedError
from segdistill.files import write_json
from segdistill.models.frozen import FrozenTeacher
from segdistill.runs.checkpoint import save_checkpoint
from segdistill.training.build import Data, save_student
from segdistill.training.cohort import Step
from segdistill.training.ending import evaluate_run
from segdistill.training.energy import EnergyMeter
from segdistill.training.events import Evaluated, Note, Progress, Tell
from segdistill.training.learner import Learner
from segdistill.training.ongoing import Run
from segdistill.training.optim import learning_rate
from segdistill.training.prepare import prepare

Prune = Callable[[str, int, float], bool]
"""Whether a learner shall leave its cohort: its name, steps finished, mIoU on the split."""


def never(name: str, step: int, miou: float) -> bool:
    """Keep every learner to the end."""
    return False


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
        write_json(run.folder / file, found | run.cost() | {"config_hash": run.config.hash()})
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
            result = evaluate_run(run, self.data, self.fabric)
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
                save_checkpoint(run.folder, step, state)
        self.fabric.barrier()
