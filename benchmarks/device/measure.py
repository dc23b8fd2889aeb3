"""One stage of the GPU round: ``measure.py STAGE FILE [--rehearse]``; ``run.sh`` calls it.

Every number is written as soon as it is known, so a stage that is cut off leaves what it had.
``--rehearse`` takes tiny sizes on a CPU: it shows that a stage runs, not how fast.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))

import bench_parity
from bench_losses import CASES, make
from bench_tiles import direct_cross_entropy, direct_kl, tiled_cross_entropy, tiled_kl
from lightning_fabric import Fabric

from segdistill import config
from segdistill.errors import ConfigError
from segdistill.files import write_json
from segdistill.losses.maths import launch, tiled
from segdistill.training.build import build_data
from segdistill.training.cohort import fit, teach, to_float
from segdistill.training.compiling import settle
from segdistill.training.devices import build_fabric, describe_machine
from segdistill.training.events import silent
from segdistill.training.learner import Learner
from segdistill.training.run import prepare_cohort
from segdistill.types import Batch

METHODS = (
    "pixelwise_kl",
    "channelwise_kl",
    "pairwise_similarity",
    "intra_class_variation",
    "layer_angular",
    "attention",
    "local_similarity",
    "decoupled_kl",
)
Found = dict[str, Any]
Save = Callable[[str, Any], None]


def finish(device: torch.device) -> None:
    """Wait for what a GPU has been told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_ms(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Return the median milliseconds of finished work, after two rounds that warm up."""
    times = []
    for turn in range(rounds + 2):
        finish(device)
        began = time.perf_counter()
        work()
        finish(device)
        if turn >= 2:
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


@contextmanager
def only(form: str, device: torch.device) -> Iterator[None]:
    """Let losses at full size take one form: "tiled", or "triton", which fails where it cannot."""
    with ExitStack() as patches:
        if form == "tiled":
            patches.enter_context(patch.object(launch, "_DEVICE", "none"))
        elif device.type == "cuda":
            patches.enter_context(patch.object(tiled, "_over_tiles", None))
        yield


def full_size(save: Save, device: torch.device, tiny: bool) -> None:
    """Cross-entropy and KL at full size from stride 8: the kernel, the tiles, the direct form.

    Memory is what a form needs above its inputs; differences are those of the gradients from the
    direct form in float64. The direct forms compare bfloat16 logits under autocast.
    """
    rounds = 1 if tiny else 5
    shapes = [(2, 5, 4, 8)] if tiny else [(2, 19, 128, 256), (2, 150, 64, 64)]
    for shape, dtype in product(shapes, (torch.float32, torch.bfloat16)):
        size = (8 * shape[2], 8 * shape[3])
        generator = torch.Generator(device).manual_seed(0)
        maps = 3 * torch.randn(2, *shape, generator=generator, device=device)
        maps = maps.to(dtype)
        labels = torch.randint(shape[1], (shape[0], *size), generator=generator, device=device)
        labels[:, : size[0] // 8] = 255
        x = SimpleNamespace(logits=maps[0], teacher=maps[1], labels=labels, size=size)
        exact = SimpleNamespace(
            logits=maps[0].double(), teacher=maps[1].double(), labels=labels, size=size
        )
        pairs = {
            "cross_entropy": (tiled_cross_entropy, direct_cross_entropy),
            "kl": (tiled_kl, direct_kl),
        }
        for name, (ours, direct) in pairs.items():
            found: Found = {}
            expected = direct(exact)
            half = torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)
            for form, work in {"triton": ours, "tiled": ours, "literal": direct}.items():
                try:
                    with only(form, device), half:
                        found |= measured(form, partial(work, x), expected, device, rounds)
                except (RuntimeError, TypeError) as error:
                    found[f"{form}_ms"] = str(error).splitlines()[0][:120]
            save(f"{name} at full size {'x'.join(map(str, (*shape[:2], *size)))} {dtype}", found)


def measured(
    form: str, work: Callable[[], Tensor], expected: Tensor, device: torch.device, rounds: int
) -> Found:
    """Return the time of a form, its peak of memory on a GPU and its gradient's difference."""
    difference = (work().double() - expected).norm() / expected.norm()
    found: Found = {f"{form}_gradient_difference": difference.item()}
    if device.type == "cuda":
        held = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        found[f"{form}_peak_mib"] = (torch.cuda.max_memory_allocated(device) - held) / 2**20
    return found | {f"{form}_ms": median_ms(work, device, rounds)}


def losses(save: Save, device: torch.device, tiny: bool) -> None:
    """Cross-entropy and KL at full size, and every loss, against their literal forms."""
    full_size(save, device, tiny)
    dtype, rounds = (torch.float32, 1) if tiny else (torch.bfloat16, 5)
    for name, case in CASES.items():
        for shape in case.shapes:
            size = (2, min(shape[1], 8), 8, 16) if tiny else shape
            x = make(size, device.type, dtype)

            def run(form: Callable[[Any], torch.Tensor], x: Any = x) -> None:
                x.student.grad = None
                form(x).backward()

            ours = median_ms(partial(run, case.ours), device, rounds)
            literal: float | str
            try:
                literal = median_ms(partial(run, case.literal), device, rounds)
            except (RuntimeError, NotImplementedError) as error:  # too large, or not in bfloat16
                literal = str(error).splitlines()[0][:120]
            save(f"{name} {'x'.join(map(str, size))}", {"ours_ms": ours, "literal_ms": literal})


def parity(save: Save, device: torch.device, tiny: bool) -> None:
    """The losses of the first steps of every method on the GPU against those on the processor.

    In float64, so that what is left is no rounding; without dropout, but some losses draw too.
    """
    bench_parity.BASE["student"]["network"] = "import:bench_parity:still_student"
    bench_parity.BASE["training"]["steps"] = 1 if tiny else 5
    for name, scenario in bench_parity.SCENARIOS.items():
        on = {
            kind: bench_parity.train(
                scenario,
                Fabric(accelerator=kind, devices=1, precision="64-true"),
                wide=True,
            )
            for kind in ("cpu", device.type)
        }
        for learner, reference in on["cpu"].items():
            pairs = zip(reference["losses"], on[device.type][learner]["losses"], strict=True)
            by_step = [
                max(abs(a[part] - b[part]) / max(abs(a[part]), 1.0) for part in a) for a, b in pairs
            ]
            save(f"{name} {learner}", by_step)


def settings(tiny: bool, **sections: Any) -> config.RunConfig:
    """Return the step that is measured: DeepLabV3, R101 teaching R18, 8 crops of 512x1024."""
    size, batch = ([32, 64], 2) if tiny else ([512, 1024], 8)
    tree = {
        "data": {
            "dataset": "scenes",
            "size": size,
            "train_images": 2 * batch,
            "val_images": 2,
            "batch_size": batch,
            "crop": size,
        },
        "teacher": {
            "network": "deeplabv3",
            "backbone": "resnet10t" if tiny else "resnet101",
            "untrained": True,
        },
        "student": {"network": "deeplabv3", "backbone": "resnet10t" if tiny else "resnet18"},
        "training": {
            "steps": 1000,
            "device": "cpu" if tiny else "cuda",
            "precision": "32-true" if tiny else "bf16-mixed",
        },
    }
    return config.check(config.merge(tree, sections))


class Prepared:
    """A cohort on batches that are in memory."""

    def __init__(self, configs: Mapping[str, config.RunConfig]) -> None:
        first = next(iter(configs.values()))
        self.training, self.images = first.training, first.data.batch_size
        self.fabric, data = build_fabric(first), build_data(first)
        self.stream = data.stream
        self.batch = data.stream.batch(0)
        data.stream.loader = self._again  # type: ignore[method-assign]
        self.teacher, self.learners = prepare_cohort(configs, data, self.fabric, silent)

    def _again(self, start: int, stop: int, **_: object) -> Iterator[Batch]:
        return (self.batch for _ in range(start, stop))

    def go(self, steps: int, learners: Sequence[Learner]) -> None:
        """Take steps whose losses are read at their end, as a run between two lines of its log."""
        distils = any(learner.objective.terms for learner in learners)
        fit(
            self.teacher if distils else None,
            list(learners),
            self.stream,
            fabric=self.fabric,
            steps=steps,
            reads=lambda done: False,
        )

    def step_ms(self, steps: int, learners: Sequence[Learner] | None = None) -> float:
        """Return the milliseconds of a step, of the median of three rows of steps."""
        work = partial(self.go, steps, self.learners if learners is None else learners)
        return median_ms(work, self.fabric.device, 3) / steps

    def teacher_ms(self) -> float:
        """Return the milliseconds of a forward pass of the teacher, to its deepest map."""
        inputs = to_float(self.fabric.to_device(self.batch.images))
        return median_ms(partial(teach, self.teacher, inputs, self.fabric), self.fabric.device, 5)

    def idle_share(self, steps: int, learners: Sequence[Learner]) -> float | None:
        """Return the share of the time in which a GPU had nothing to do.

        The profiler slows down the process from then on.
        """
        if self.fabric.device.type != "cuda":
            return None
        finish(self.fabric.device)
        with profile(activities=[ProfilerActivity.CUDA]) as kernels:
            began = time.perf_counter()
            self.go(steps, learners)
            finish(self.fabric.device)
            wall = time.perf_counter() - began
        busy = sum(event.self_device_time_total for event in kernels.key_averages()) / 1e6
        return max(0.0, 1 - busy / wall)


def steps(save: Save, device: torch.device, tiny: bool) -> None:
    """A step of the plain student and of eight methods, over teacher forward and plain step."""
    count = 1 if tiny else 10
    terms = {"plain": []} | {name: [{"loss": name}] for name in METHODS}
    made = Prepared({name: settings(tiny, distill=distill) for name, distill in terms.items()})
    forward = made.teacher_ms()
    save("teacher_ms", forward)
    base = made.step_ms(count, made.learners[:1])
    found: dict[str, Found] = {}
    for learner in made.learners:
        took = base if learner.name == "plain" else made.step_ms(count, [learner])
        parts = base + (forward if learner.objective.terms else 0.0)
        found[learner.name] = {
            "step_ms": took,
            "over_parts": took / parts,
            "images_per_second": 1000 * made.images / took,
        }
        save(learner.name, found[learner.name])
    for learner in made.learners:
        found[learner.name]["idle_share"] = made.idle_share(count, [learner])
        save(learner.name, found[learner.name])


def compile_(save: Save, device: torch.device, tiny: bool) -> None:
    """``training.compile`` off, graphs and on: plain and distilled steps, small and large students.

    The small student is an FPN on MobileNetV2-0.35, with crops of 176x240 and in float32.
    """
    small: Found = {
        "student": {"network": "fpn", "backbone": "mobilenetv2_035", "width": 16},
        "training": {"precision": "32-true"},
    }
    if not tiny:
        small["data"] = {"size": [176, 240], "crop": [176, 240]}
    distilled = [{"loss": "channelwise_kl"}, {"loss": "attention"}]  # at the logits, at a feature
    terms: dict[str, Any] = {"plain": [], "distilled": distilled}
    count = 1 if tiny else 5
    cohorts = {}
    for size, sections in {"small": small, "large": {}}.items():
        configs = {
            name: settings(tiny, distill=distill, **sections) for name, distill in terms.items()
        }
        cohorts[size] = made = Prepared(configs)
        for learner in made.learners:
            save(f"{size} {learner.name} off", {"step_ms": made.step_ms(count, [learner])})
        if not tiny:  # graphs need a GPU
            _compiled(save, made, "graphs", size, count)
    for size, made in cohorts.items():
        _compiled(save, made, "on", size, count, backend="eager" if tiny else "inductor")


def _compiled(
    save: Save, made: Prepared, mode: str, size: str, count: int, backend: str = "inductor"
) -> None:
    """Measure each learner of a cohort with compiled steps, and leave them as they were."""
    training = made.training.model_copy(update={"compile": mode})
    for learner in made.learners:
        try:
            found = settle(
                made.teacher if learner.objective.terms else None,
                [learner],
                made.stream,
                training,
                fabric=made.fabric,
                start=0,
                backend=backend,
                tell=silent,
            )
        except ConfigError as error:
            save(f"{size} {learner.name} {mode}", {"failed": str(error)})
            continue
        step_ms = made.step_ms(count, [learner])
        save(
            f"{size} {learner.name} {mode}",
            {"step_ms": step_ms, "networks": [asdict(each) for each in found]},
        )
        learner.run_as_it_is()
        if made.teacher is not None:
            made.teacher.run_as_it_is()


def camvid(save: Save, device: torch.device, tiny: bool) -> None:
    """A cohort of three against its learners alone, at CamVid's full resolution.

    The images are drawn scenes: their content changes no time.
    """
    size, count = ([32, 64], 1) if tiny else ([720, 960], 5)
    data = {"size": size, "crop": size}
    terms = {"plain": [], "kl": [{"loss": METHODS[0]}], "lad": [{"loss": METHODS[4]}]}
    made = Prepared(
        {name: settings(tiny, data=data, distill=distill) for name, distill in terms.items()}
    )
    alone = 0.0
    for learner in made.learners:
        took = made.step_ms(count, [learner])
        save(f"{learner.name} alone", took)
        alone += took
    took = made.step_ms(count)
    save("together", {"step_ms": took, "over_alone": took / alone})
    on_streams(save, tiny, count)


def on_streams(save: Save, tiny: bool, count: int) -> None:
    """Four small plain students in turn, and each on a thread and a CUDA stream of its own."""
    student = {"network": "fpn", "backbone": "mobilenetv2_035", "width": 16}
    configs = {f"student {n}": settings(tiny, student=student, distill=[]) for n in range(4)}
    made = Prepared(configs)
    device = made.fabric.device

    def alone(learner: Learner) -> None:
        with nullcontext() if tiny else torch.cuda.stream(torch.cuda.Stream(device)):
            made.go(count, [learner])

    def beside() -> None:
        list(threads.map(alone, made.learners))

    in_turn = made.step_ms(count)
    save("small students in turn", in_turn)
    with ThreadPoolExecutor(len(made.learners)) as threads:
        took = median_ms(beside, device, 3) / count
    save("small students on streams", {"step_ms": took, "over_in_turn": took / in_turn})


STAGES = {"losses": losses, "parity": parity, "steps": steps, "compile": compile_, "camvid": camvid}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rehearse", action="store_true")
    words = parser.parse_args()
    if not words.rehearse and not torch.cuda.is_available():
        sys.exit("measure.py: expected a GPU, got none; add --rehearse to try it on a CPU")
    device = torch.device("cpu" if words.rehearse else "cuda")
    environment = describe_machine().as_dict()
    found: Found = {
        "rehearsed": words.rehearse,
        "gpu": environment["gpu"],
        "packages": environment["packages"],
        "results": {},
    }

    def save(name: str, value: Any) -> None:
        found["results"][name] = value
        print(name, value, flush=True)
        write_json(words.file, found)

    STAGES[words.stage](save, device, words.rehearse)


if __name__ == "__main__":
    main()
