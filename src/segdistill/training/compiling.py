"""Compiling teacher and students for a run, where a measurement shows that it pays."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from segdistill.config import TrainingConfig
from segdistill.config.checking import not_compiled
from segdistill.data.stream import Stream
from segdistill.errors import ConfigError
from segdistill.models.compiled import CompiledNetwork
from segdistill.models.cuda_graphs import GraphedNetwork
from segdistill.models.frozen import FrozenTeacher
from segdistill.models.taps import record
from segdistill.seeding import derive
from segdistill.training.clock import Clock
from segdistill.training.cohort import Cut, teach, to_float, train_step
from segdistill.training.events import Note, Tell
from segdistill.training.learner import Learner
from segdistill.types import Batch, SegOutput, TapMaps

SHORTEST_SECONDS = 60.0
"""Least time that the rest of a run must take without compiling for ``auto`` to try it.

More than that cannot be gained, and compiling a network takes about a minute.
"""

MARGIN = 1.25
"""``auto`` compiles if it has paid after the remaining steps divided by this.

The seconds of a step are medians of a few and vary by several percent.
"""

DIFFERENCE = 0.1
"""Largest difference of a map by its Euclidean norm that rounding, also to bfloat16, explains."""

GRAPHS = "CUDA graphs"

SPREAD = 1.5
"""And its largest difference by that between two draws of a network with dropout."""

_STEPS = 3


@dataclass(frozen=True)
class Compiling:
    """What was measured for a network, and the decision.

    Attributes:
        learner: name of the learner, None for the teacher.
        compiled: the decision.
        reason: the decision in words.
        as_it_is_seconds, compiled_seconds: duration of a step's part; None if not measured, as
            for the next.
        compiling_seconds: duration of compiling.
        break_even_steps: number of steps after which compiling has paid; None if never.
        spent_seconds: duration of the whole measurement.
    """

    learner: str | None
    compiled: bool
    reason: str
    as_it_is_seconds: float | None = None
    compiled_seconds: float | None = None
    compiling_seconds: float | None = None
    break_even_steps: float | None = None
    spent_seconds: float = 0.0

    @property
    def gain_seconds(self) -> float:
        """Seconds saved in each step, negative if the compiled step is slower."""
        if self.as_it_is_seconds is None or self.compiled_seconds is None:
            return 0.0
        return self.as_it_is_seconds - self.compiled_seconds


def settle(
    teacher: FrozenTeacher | None,
    learners: Sequence[Learner],
    stream: Stream,
    training: TrainingConfig,
    *,
    fabric: Fabric,
    start: int,
    cached: bool = False,
    backend: str = "inductor",
    tell: Tell,
) -> list[Compiling]:
    """Compile the teacher and the learners of a cohort as ``training.compile`` says.

    A few real steps are taken as they are and compiled, and taken back: weights, buffers and the
    states of losses, optimisers and random draws are afterwards as before. Under ``auto`` the
    teacher is compiled if its own gain pays, and of the learners those that gain, if together
    they pay: networks of one architecture are compiled once.

    Args:
        teacher: ready to run, as are ``learners``.
        learners: changed only in how they run.
        stream: of which batch ``start`` is taken.
        training: mode, and the number of steps at which the run ends.
        fabric: device and precision.
        start: number of steps finished before.
        cached: whether the teacher's maps are read from a cache, so that it is not compiled.
        backend: of :func:`torch.compile`.
        tell: called with every decision and its numbers.

    Returns:
        What was measured, the teacher first; nothing if the mode is ``off``.

    Raises:
        ConfigError: a network cannot be compiled although the mode is ``on``.
    """
    remaining = training.steps - start
    if training.compile == "off" or remaining <= 0:
        return []
    obstacle = not_compiled(training)
    if obstacle:
        tell(Note(f"training.compile: not compiled with {obstacle}"))
        return []
    on, graphs = training.compile in ("on", "graphs"), training.compile == "graphs"
    backend = GRAPHS if graphs else backend
    trial = _Trial(stream.batch(start), start, fabric, on=on, remaining=remaining, backend=backend)
    found = list[Compiling]()
    with torch.random.fork_rng(devices=_generators(fabric.device)):
        if teacher is not None and not cached and not graphs:
            found.append(_settled([trial.teacher(teacher)], training, remaining)[0])
            if not found[0].compiled:
                teacher.run_as_it_is()
        tried = [trial.learner(learner, teacher) for learner in learners]
        settled = _settled(tried, training, remaining)
        for learner, decision in zip(learners, settled, strict=True):
            if not decision.compiled:
                learner.run_as_it_is()
    found += settled
    for decision in found:
        who = "teacher" if decision.learner is None else decision.learner or "student"
        tell(Note(f"training.compile: {who}: {decision.reason}"))
    return found


def _settled(
    tried: Sequence[Compiling], training: TrainingConfig, remaining: int
) -> list[Compiling]:
    """Return the decisions about networks that may share what was compiled."""
    on = training.compile in ("on", "graphs")
    gaining = [each for each in tried if each.compiled and (on or each.gain_seconds > 0)]
    gain = sum(each.gain_seconds for each in gaining)
    compiling = sum(each.compiling_seconds or 0.0 for each in gaining)
    pays = compiling / gain if gain > 0 else None
    within = pays is not None and pays * MARGIN <= remaining
    decided = []
    for each in tried:
        if not each.compiled:
            decided.append(each)
            continue
        own = pays if each in gaining else None
        compiled = on or (within and each in gaining)
        decided.append(
            replace(
                each,
                compiled=compiled,
                break_even_steps=own,
                reason=f"{'compiled' if compiled else 'not compiled'}; {_numbers(each, own)}, of "
                f"{remaining} that remain",
            )
        )
    return decided


def _numbers(tried: Compiling, pays: float | None) -> str:
    after = "never pays" if pays is None else f"pays after {pays:.0f} steps"
    return (
        f"its part of a step takes {1000 * (tried.compiled_seconds or 0):.1f} ms instead of "
        f"{1000 * (tried.as_it_is_seconds or 0):.1f}; compiling took "
        f"{tried.compiling_seconds or 0:.1f} s and {after}"
    )


class _Trial:
    """Measures networks on one batch, as they are and compiled.

    Args:
        batch: on the host.
        step: the step to which it belongs.
        fabric: device and precision.
        on: whether a network that cannot be compiled is an error.
        remaining: number of steps to come.
        backend: of :func:`torch.compile`.
    """

    def __init__(
        self, batch: Batch, step: int, fabric: Fabric, *, on: bool, remaining: int, backend: str
    ) -> None:
        self.batch = Batch(*(fabric.to_device(tensor) for tensor in batch))
        self.step, self.fabric, self.on = step, fabric, on
        self.remaining, self.backend = remaining, backend

    def teacher(self, teacher: FrozenTeacher) -> Compiling:
        """Measure a teacher, and leave it compiled if that works."""
        images = to_float(self.batch.images)

        def take() -> float:
            clock = Clock(self.fabric.device)
            with clock.of(None):
                teach(teacher, images, self.fabric)
            return self._read(clock, None)

        def maps(draw: int = 0) -> TapMaps:
            return teach(teacher, images, self.fabric)

        def compile_it() -> Callable[[], TapMaps]:
            made = teacher.compile_for(images, backend=self.backend)
            return lambda: self._checked(made, maps())

        return self._measure(None, take, maps, compile_it, teacher.run_as_it_is)

    def learner(self, learner: Learner, teacher: FrozenTeacher | None) -> Compiling:
        """Measure a learner, leave it compiled if that works, and take back what it learnt."""
        fabric = self.fabric
        places = torch.arange(len(self.batch.images), device=fabric.device)
        before = copy.deepcopy(learner.state())
        precision = copy.deepcopy(fabric.strategy.precision.state_dict())
        lost = learner.lost

        def take() -> float:
            clock = Clock(fabric.device)
            train_step(
                teacher,
                [learner],
                self.batch,
                self.step,
                parts=[Cut(places, places)],
                images=len(places),
                fabric=fabric,
                clock=clock,
                send=lambda batch: batch,
                cache=None,
            )
            seconds = self._read(clock, learner.name)
            restore()
            return seconds

        def restore() -> None:
            learner.restore(copy.deepcopy(before))
            fabric.strategy.precision.load_state_dict(precision)
            learner.lost = lost
            learner.begin(self.step)

        # What a network gets in a step under bf16-mixed has been rounded already.
        images = fabric.strategy.precision.convert_input(to_float(self.batch.images))

        def maps(draw: int = 0) -> TapMaps:
            with record(learner.network, learner.objective.taps()) as found:
                return _with_logits(self._forward(learner.network, images, draw), found)

        def compile_it() -> Callable[[], TapMaps]:
            made: CompiledNetwork | GraphedNetwork
            if self.backend == GRAPHS:
                with fabric.autocast():
                    made = learner.record_graphs(images)
            else:
                made = learner.compile(backend=self.backend)

            def compiled_maps() -> TapMaps:
                output, found = self._forward(made, images)
                return self._checked(made, _with_logits(output, found))

            return compiled_maps

        try:
            return self._measure(learner.name, take, maps, compile_it, learner.run_as_it_is)
        finally:
            restore()

    def _forward(self, network: Callable[[Tensor], Any], images: Tensor, draw: int = 0) -> Any:
        """Run a network as in a step, with the random draws of a number."""
        torch.manual_seed(derive(self.step, "compile", draw))
        with self.fabric.autocast():
            return network(images)

    def _measure(
        self,
        learner: str | None,
        take: Callable[[], float],
        maps: Callable[[int], TapMaps],
        compile_it: Callable[[], Callable[[], TapMaps]],
        take_back: Callable[[], None],
    ) -> Compiling:
        """Measure one network; ``compiled`` says whether it could be compiled.

        Args:
            learner: its name, None for the teacher.
            take: takes its part of a step and returns the seconds.
            maps: returns the maps that it gives as it is, by the number of its random draws.
            compile_it: lets it run compiled, and returns a function that returns its maps then.
            take_back: lets it run as it is again.
        """
        began = time.perf_counter()
        take()
        as_it_is = median(take() for _ in range(_STEPS))
        most = as_it_is * self.remaining
        if not self.on and most < SHORTEST_SECONDS:
            reason = (
                f"not compiled; its part of the {self.remaining} steps that remain takes "
                f"{most:.3g} s, and compiling alone takes about {SHORTEST_SECONDS:.0f} s"
            )
            spent = time.perf_counter() - began
            return Compiling(learner, False, reason, as_it_is, spent_seconds=spent)
        expected = maps(0)
        # On a GPU a compiled dropout draws otherwise, and the maps differ as for another draw.
        bound = max(DIFFERENCE, SPREAD * largest_difference(maps(1), expected))
        try:
            compiling = time.perf_counter()
            compiled_maps = compile_it()
            recorded = time.perf_counter() - compiling
            first = take()
            compiled = median(take() for _ in range(_STEPS))
            difference = largest_difference(compiled_maps(), expected)
            if not difference <= bound:
                raise ValueError(f"its maps differ by {difference:.2g} of their norm")
        except Exception as error:  # compiling a foreign network may fail with any error
            take_back()
            why = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')[:200]}"
            if self.on:
                who = "the teacher" if learner is None else f"learner {learner or 'student'}"
                raise ConfigError(
                    f"training.compile: expected networks that torch.compile takes, got {who}, for "
                    f"which it fails with {why}; set training.compile=auto or off"
                ) from error
            spent = time.perf_counter() - began
            reason = f"not compiled; torch.compile fails with {why}"
            return Compiling(learner, False, reason, as_it_is, spent_seconds=spent)
        return Compiling(
            learner,
            True,
            "",
            as_it_is,
            compiled,
            recorded + max(first - compiled, 0.0),
            spent_seconds=time.perf_counter() - began,
        )

    def _checked(self, made: CompiledNetwork | GraphedNetwork, maps: TapMaps) -> TapMaps:
        """Return the maps of a compiled network that still has its network's tensors."""
        if not made.shares_tensors():
            raise ValueError("its forward replaces buffers instead of changing them")
        return maps

    def _read(self, clock: Clock, learner: str | None) -> float:
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)
        return clock.seconds(learner)


def largest_difference(given: TapMaps, expected: TapMaps) -> float:
    """Return the largest difference of two sets of maps, each divided by its Euclidean norm.

    Equal infinities count as equal; a value that is no number makes it nan.
    """
    found = [0.0]
    for name, maps in expected.items():
        one, other = given[name].detach().double(), maps.detach().double()
        apart = torch.where(one == other, 0.0, one - other).norm()
        size = torch.where(other.isinf(), 0.0, other).norm()
        found.append(float(apart / size) if apart != 0 else 0.0)
    return max(found, key=lambda value: (value != value, value))


def _with_logits(output: SegOutput, maps: TapMaps) -> TapMaps:
    """Return all maps of a forward, free of its graph."""
    return {name: values.detach() for name, values in {**maps, "output": output.logits}.items()}


def _generators(device: torch.device) -> list[int]:
    return [torch.cuda.current_device()] if device.type == "cuda" else []
