"""What happens between the steps of a cohort: log, checkpoint, score, prune, stop."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from lightning_fabric import Fabric

from segdistill.config.checking import not_compiled
from segdistill.errors import TrainingDivergedError
from segdistill.models.frozen import FrozenTeacher
from segdistill.runs.checkpoint import save_checkpoint
from segdistill.runs.metrics import CompileLine
from segdistill.runs.result import Failure, Pruned, write_failure, write_pruned
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data
from segdistill.training.cohort import Step
from segdistill.training.compiling import Compiling, settle
from segdistill.training.energy import EnergyMeter
from segdistill.training.events import Note, Progress, Tell
from segdistill.training.finished_run import code_of
from segdistill.training.learner import Learner
from segdistill.training.objective import is_critic, minimised
from segdistill.training.optim import learning_rate
from segdistill.training.prepare import prepare
from segdistill.training.replay import write_replay
from segdistill.training.score import record_score, score_run

Prune = Callable[[str, int, float], bool]
"""Decides from a learner's name, its steps and its mIoU whether it leaves the cohort."""


def never(name: str, step: int, miou: float) -> bool:
    """Prune no learner."""
    return False


class Hooks:
    """What happens around the steps of a cohort.

    Args:
        runs: the cohort; a run that leaves is removed from the list.
        data: the data it is trained and scored on.
        teacher: its teacher, None for plain training.
        fabric: device and processes.
        tell: called with every event.
        interrupted: signals that this process received; training stops if there are any.
        prune: called after each score during training.
        keep_going: let a learner that diverges leave instead of ending the cohort.
    """

    def __init__(
        self,
        runs: list[ActiveRun],
        data: Data,
        teacher: FrozenTeacher | None,
        fabric: Fabric,
        tell: Tell,
        interrupted: list[int],
        *,
        prune: Prune = never,
        keep_going: bool = False,
    ) -> None:
        self.runs, self.data, self.teacher = runs, data, teacher
        self.fabric, self.tell = fabric, tell
        self.learners = [run.learner for run in runs]
        self.interrupted, self.prune, self.keep_going = interrupted, prune, keep_going
        self.training = runs[0].config.training
        self._batch_size = runs[0].config.data.batch_size
        self._meter = EnergyMeter(fabric.device)
        self._stage = f"training {' '.join(run.name for run in runs)}"

    def before_training(self, start: int) -> None:
        """Score a checkpoint that a killed run had not scored yet."""
        if start and self._is_scored(start):
            self._score(start)

    def reads(self, done: int) -> bool:
        """Return whether to read the losses after a step: on a GPU, only if something is due.

        On a CPU reading them costs nothing, so a divergence is reported at once.
        """
        ahead = all(learner.runs_ahead for learner in self.learners)
        return not ahead or self._is_logged(done) or self._is_saved(done) or self.is_stopping()

    def after_step(self, step: Step) -> bool:
        """Do what is due after a step, and return whether training continues.

        Weights are saved before scoring, so that they are not lost if it fails. After the last
        step :func:`segdistill.training.finish.finish` scores instead.
        """
        self._charge(step)
        if not step.latest:
            return True
        if self._is_logged(step.done):
            self._log(step)
        stopping = self.is_stopping()
        if self._is_saved(step.done) or stopping:
            self._checkpoint(step.done)
        if self._is_scored(step.done):
            self._score(step.done)
        self._meter.joules()  # energy for scores and checkpoints does not count for the next step
        return not stopping  # a signal that arrived meanwhile is handled after the next step

    def is_stopping(self) -> bool:
        """Return whether any process received a stop signal; all processes call this together."""
        told = bool(self.interrupted)
        if self.fabric.world_size > 1:
            # If one process left alone, the others would wait for it forever.
            flags = self.fabric.all_reduce(torch.tensor(float(told)), reduce_op="max")
            told = bool(flags > 0)
        return told

    def diverged(self, learner: Learner, error: TrainingDivergedError) -> None:
        """Save the step of a diverged learner, which leaves or ends the whole cohort."""
        if self.keep_going:
            self.after_divergence(learner, error)
        else:
            self.stop_at_divergence(learner, error)

    def stop_at_divergence(self, learner: Learner, error: TrainingDivergedError) -> None:
        """Save the step of a diverged learner, and end the whole cohort."""
        run = next(run for run in self.runs if run.learner is learner)
        raise TrainingDivergedError(f"{error}{self._keep_step(run, error)}", step=error.step)

    def after_divergence(self, learner: Learner, error: TrainingDivergedError) -> None:
        """Save the step of a diverged learner, which leaves the cohort."""
        run = next(run for run in self.runs if run.learner is learner)
        self._keep_step(run, error)
        self.tell(Note(f"{error}; the others continue"))
        failure = Failure(error=str(error), step=error.step, **self._identity(run))
        if self.fabric.is_global_zero:
            write_failure(run.folder, failure)
        self._leave(run)

    def prepare(self, teacher: FrozenTeacher) -> None:
        """Run the stage before training of every learner that has one; it is resumable too."""
        for run in self.runs:

            def after(
                done: int, steps: int, loss: float, seconds: float, run: ActiveRun = run
            ) -> None:
                run.spent.own_seconds += seconds
                run.spent.prepare_seconds += seconds
                run.spent.add_joules(self._meter.joules())
                due = done % self.training.log_every == 0 or done in (1, steps)
                if due and self.fabric.is_global_zero:
                    run.log.prepare(done, loss, seconds=run.spent.prepare_seconds)
                stop = self.is_stopping()
                if done % self.training.checkpoint_every == 0 or done == steps or stop:
                    self._checkpoint(0)
                self._meter.joules()
                self.tell(Progress(f"preparing {run.name}", done, steps, {run.name: loss}))
                if stop:
                    raise KeyboardInterrupt("stopped while preparing; continue with --resume")

            prepare(run.learner, teacher, self.data.stream, fabric=self.fabric, after=after)

    def compile(self, teacher: FrozenTeacher | None, *, start: int, cached: bool) -> None:
        """Compile what ``training.compile`` allows, and charge and log the measurement."""
        self._meter.joules()  # energy for scores and checkpoints does not count
        trainings = [run.config.training for run in self.runs]
        found = settle(
            teacher,
            self.learners,
            self.data.stream,
            next((each for each in trainings if not_compiled(each)), self.training),
            fabric=self.fabric,
            start=start,
            cached=cached,
            tell=self.tell,
        )
        joules = self._meter.joules()
        whole = sum(each.spent_seconds for each in found)
        for run in self.runs:
            spent, before = run.spent, run.seconds
            for each in found:
                if each.learner is None:
                    spent.teacher_seconds += each.spent_seconds
                elif each.learner == run.learner.name:
                    spent.own_seconds += each.spent_seconds
                else:
                    continue
                if self.fabric.is_global_zero and (each.learner is not None or run.config.distill):
                    run.log.compiling(_line(each, start))
            if joules is not None and whole:
                spent.add_joules(joules * (run.seconds - before) / whole)

    def _is_logged(self, step: int) -> bool:
        return step % self.training.log_every == 0 or step == self.training.steps

    def _is_saved(self, step: int) -> bool:
        due = step % self.training.checkpoint_every == 0 or step == self.training.steps
        return due or self._is_scored(step)

    def _is_scored(self, step: int) -> bool:
        """Return whether a score is due after a step."""
        every = self.training.evaluate_every
        return every is not None and step % every == 0 and step < self.training.steps

    def _charge(self, step: Step) -> None:
        """Charge each run for a step, and sum up its losses."""
        joules = self._meter.joules()
        batch = step.seconds - step.teacher_seconds - sum(step.learner_seconds.values())
        for run in self.runs:
            run.steps_since += 1
            run.seconds_since += step.seconds
            spent, before = run.spent, run.seconds
            spent.own_seconds += step.learner_seconds[run.learner.name]
            spent.batch_seconds += batch
            spent.teacher_seconds += step.teacher_seconds
            if joules is not None:
                spent.add_joules(joules * (run.seconds - before) / step.seconds)
            for name, loss in step.losses[run.learner.name].items():
                run.sums[name] = run.sums.get(name, 0.0) + loss

    def _log(self, step: Step) -> None:
        totals, rate = {}, 0.0
        for run in self.runs:
            rate = run.steps_since * self._batch_size / run.seconds_since
            parts = {name: value / run.steps_since for name, value in run.sums.items()}
            name = run.learner.name
            totals[name] = minimised(parts)
            critics = {part: value for part, value in parts.items() if is_critic(part)}
            totals |= {f"{name} {part}".strip(): value for part, value in critics.items()}
            run.sums, run.steps_since, run.seconds_since = {}, 0, 0.0
            if self.fabric.is_global_zero:
                run.log.train(
                    step.done,
                    parts,
                    lr=learning_rate(step.done - 1, run.config.training),
                    images_per_second=rate,
                    seconds=run.seconds,
                )
        self.tell(Progress(self._stage, step.done, self.training.steps, totals, rate))

    def _checkpoint(self, step: int) -> None:
        if self.fabric.is_global_zero:
            shared = {
                "precision": self.fabric.strategy.precision.state_dict(),
                "skipped": self.data.stream.skipped_images(),
            }
            for run in self.runs:
                save_checkpoint(run.folder, step, run.state() | shared)
                run.log.write_table()
        self.fabric.barrier()

    def _score(self, step: int) -> None:
        """Score every run without a score at this step, and prune those that fall behind."""
        for run in tuple(self.runs):
            if self.fabric.broadcast(step not in run.log.evaluations):
                scored = score_run(run, self.data, self.fabric)
                if self.fabric.is_global_zero:
                    record_score(run, self.data, step, scored, self.tell)
            miou: float = self.fabric.broadcast(run.log.evaluations.get(step, 0.0))
            if self.prune(run.learner.name, step, miou):
                if self.fabric.is_global_zero:
                    write_pruned(run.folder, Pruned(step=step, miou=miou, **self._identity(run)))
                self._leave(run)
                self.learners.remove(run.learner)

    def _keep_step(self, run: ActiveRun, error: TrainingDivergedError) -> str:
        """Write the replay file, and return a hint at how to use it."""
        if error.step is None:
            return ""
        if write_replay(run, self.data, self.teacher, error.step, self.fabric) is None:
            return ""
        trust = [word for target in code_of(run.config) for word in ("--trust", target)]
        command = shlex.join(["segdistill", "replay", str(run.folder), *trust])
        return f"; examine the step with: {command}"

    def _leave(self, run: ActiveRun) -> None:
        run.log.close()
        self.runs.remove(run)

    def _identity(self, run: ActiveRun) -> dict[str, Any]:
        """Return the facts about a run that every way of ending it records."""
        return {**asdict(run.cost()), "config_hash": run.config.hash()}


def _line(found: Compiling, start: int) -> CompileLine:
    return CompileLine(
        step=start,
        network="teacher" if found.learner is None else "student",
        compiled=found.compiled,
        reason=found.reason,
        as_it_is_seconds=found.as_it_is_seconds,
        compiled_seconds=found.compiled_seconds,
        compiling_seconds=found.compiling_seconds,
        break_even_steps=found.break_even_steps,
    )
