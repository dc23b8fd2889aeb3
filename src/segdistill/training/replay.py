"""The step at which a run diverged: its batch and the learner's state, small enough to share.

``python -m segdistill.training.replay RUN`` repeats the step and reports where values first stop
being finite.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from segdistill import config as configs
from segdistill.data import Stream
from segdistill.errors import RunFolderError, TrainingDivergedError
from segdistill.files import write_whole
from segdistill.runs.layout import REPLAY
from segdistill.runs.settings import read_settings
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, build_data
from segdistill.training.cohort import Step, fit, to_float
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.types import Batch

MOST_MIB = 512  # enough for a student of 60 million parameters and a batch


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


def write_replay(run: ActiveRun, data: Data, step: int) -> Path | None:
    """Write ``replay.pt``; return its path, or None if it would be too large.

    Args:
        run: the run whose learner diverged and has not been updated since.
        data: the data that the batch comes from.
        step: number of steps finished before.
    """
    batch = data.stream.batch(step)
    learner = run.learner
    network, objective = _on_cpu(learner.network), _on_cpu(learner.objective)
    tensors = [*batch, *network.values(), *objective.values()]
    size = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))
    if size > MOST_MIB * 2**20:
        return None
    state = {"step": step, "batch": batch._asdict(), "network": network, "objective": objective}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(run.folder / REPLAY, buffer.getvalue())
    return run.folder / REPLAY


def replay(run: Path) -> Replayed:
    """Repeat the step of ``replay.pt`` on this machine.

    Code named by the run's config is run, as with ``--resume``.

    Args:
        run: the folder of a run that diverged.

    Raises:
        RunFolderError: the run has no such file.
        ConfigError, ValueError: teacher or student cannot be built on this machine.
    """
    from segdistill.training.run import prepare_cohort

    if not (run / REPLAY).exists():
        raise RunFolderError(
            f"{run}: expected the folder of a run that diverged, got one without {REPLAY}"
        )
    state = torch.load(run / REPLAY, map_location="cpu", weights_only=True)
    step, batch = int(state["step"]), Batch(**state["batch"])
    tree = configs.override(read_settings(run), ("training.devices=1", "training.device=auto"))
    config = configs.check(tree)
    fabric = build_fabric(config)
    data = build_data(config)
    teacher, learners = prepare_cohort({"": config}, data, fabric, silent)
    learner = learners[0]
    learner.network.load_state_dict(state["network"])
    learner.objective.load_state_dict(state["objective"])

    first = [
        f"weight {name}"
        for part in (learner.network, learner.objective)
        for name, value in part.state_dict().items()
        if _is_broken(value)
    ]
    if teacher is not None:
        maps = teacher(to_float(fabric.to_device(batch.images)))
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
                cast("Stream", _Kept(data.stream, batch)),
                fabric=fabric,
                steps=step + 1,
                start=step,
                accumulate=config.training.accumulate,
                after=keep,
            )
    except TrainingDivergedError as diverged:
        error = str(diverged)
    broken = [f"{part} = {loss}" for part, loss in losses.items() if not math.isfinite(loss)]
    error = error or ", ".join(broken)
    return Replayed(step, error, tuple(first))


@dataclass(frozen=True)
class _Kept:
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


def _on_cpu(module: nn.Module) -> Mapping[str, Any]:
    return {
        name: value.detach().cpu() if isinstance(value, Tensor) else value
        for name, value in module.state_dict().items()
    }


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


def main() -> None:
    """Replay the run named on the command line and print the outcome."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m segdistill.training.replay RUN")
    try:
        again = replay(Path(sys.argv[1]))
    except (RunFolderError, ValueError, OSError) as error:
        sys.exit(f"replay: {error}")
    lines = [f"step {again.step}: {again.error or 'every loss is finite on this machine'}"]
    lines += [f"  first not finite: {name}" for name in again.first[:3]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
