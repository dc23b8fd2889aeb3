"""What a network of every family does here: maps, a training step, an odd size, folding, export.

Goes on where it was stopped. --again NAME ... does rows once more; --only WORD ... does those whose
names begin so. On one thread, several hours where the machine is busy:

nice python benchmarks/bench_compatibility.py
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import timm
import torch
from compatibility_families import CLASSES, Family, families
from results_file import FOLDER, write_result
from torch import nn

from segdistill.delivery.onnx import export_onnx
from segdistill.delivery.opening import open_file
from segdistill.delivery.parity import compare
from segdistill.losses import pixelwise_kl
from segdistill.models import FrozenTeacher
from segdistill.models.taps import describe, tap_paths
from segdistill.network_state import evaluating
from segdistill.scoring.inference import predict_ids
from segdistill.training.task_loss import task_loss
from segdistill.types import Classes

Size = tuple[int, int]

LIMIT = 240  # processor seconds of a step of one family
AGREES = 1e-3
NAMES = Classes(tuple(map(str, range(CLASSES))), ((0, 0, 0),) * CLASSES)


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = FOLDER / "compatibility.json"
    found = json.loads(file.read_text(encoding="utf-8"))["families"] if file.exists() else {}
    known = families()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD")
    words = parser.parse_args()
    rows = {name: found[name] for name in known if name in found and name not in words.again}
    # Export takes longest, so it comes last.
    for with_export in (False, True):
        for name, family in known.items():
            row = rows.get(name, {})
            if not name.startswith(tuple(words.only)):
                continue
            if "export" in row if with_export else row:
                continue
            rows[name] = {"network": family.network, **row, **measure(family, with_export)}
            ordered = {each: rows[each] for each in known if each in rows}
            write_result("compatibility", {"families": ordered})
            print(name, json.dumps(rows[name]), flush=True)
            gc.collect()


def measure(family: Family, with_export: bool) -> dict[str, str]:
    """Return what each step says of one family: a word that it works with, or why it does not.

    Args:
        family: what is tried.
        with_export: whether export is the step, or all the others.
    """
    with tempfile.TemporaryDirectory() as folder:
        network: list[nn.Module] = []

        def build() -> str:
            network.append(family.build(Path(folder)))
            return maps_of(network[0], size_of(network[0], family))

        built = said(build)
        if with_export:
            file = Path(folder) / "network.onnx"
            if not network:
                return {"export": built}
            return {"export": said(lambda: export(network[0], file, size_of(network[0], family)))}
        row = {"check": built}
        if network:
            size = size_of(network[0], family)
            unseen = size if only_size(network[0]) else other(size, 32, 32)
            row["train"] = said(lambda: train(network[0], size))
            row["odd size"] = said(lambda: odd_size(network[0], other(size, -1, 1)))
            row["teacher"] = said(lambda: teach(network[0], size, unseen))
        return row


def size_of(network: nn.Module, family: Family) -> Size:
    """Return the size of the images that a network is tried with."""
    return only_size(network) or family.size


def only_size(network: nn.Module) -> Size | None:
    """Return the one size of images that a network's backbone takes, None where it takes more."""
    found: Size | None = getattr(getattr(network, "backbone", None), "only_size", None)
    return found


def maps_of(network: nn.Module, size: Size) -> str:
    """Return the width and the stride of the taps of a network."""
    taps = [tap for tap in ("backbone", "logits") if tap in tap_paths(network)]
    shapes = describe(network, taps, size)
    return ", ".join(f"{tap} {shape.channels}/{shape.stride}" for tap, shape in shapes.items())


def train(network: nn.Module, size: Size) -> str:
    """Take a step against labels and a teacher's logits; every gradient has to be finite."""
    torch.manual_seed(0)
    images, labels = torch.rand(2, 3, *size), torch.randint(0, CLASSES, (2, *size))
    network.train()
    output = network(images)
    loss = torch.stack(list(task_loss(output, labels).values())).sum()
    (loss + pixelwise_kl(output.logits, torch.randn_like(output.logits))).backward()
    unused, count = [], 0
    for name, parameter in network.named_parameters():
        count += 1
        if parameter.grad is None:
            unused.append(name)
        elif not parameter.grad.isfinite().all():
            raise ValueError(f"the gradient of {name} is not finite")
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    network.zero_grad()
    return f"yes, {len(unused)} of {count} tensors unused" if unused else "yes"


def odd_size(network: nn.Module, size: Size) -> str:
    """Predict classes of images whose sides nothing divides."""
    torch.manual_seed(0)
    with evaluating(network), torch.inference_mode():
        ids, classes = predict_ids(network, torch.rand(2, 3, *size))
    if ids.shape != (2, *size) or classes != CLASSES:
        raise ValueError(f"ids {tuple(ids.shape)} of {classes} classes")
    return "yes"


def teach(network: nn.Module, size: Size, unseen: Size) -> str:
    """Freeze a teacher, and compare its logits with the network's on images it was not proven on.

    Three times, since a wrong folding may depend on how memory is reused.
    """
    torch.manual_seed(1)
    images = torch.rand(2, 3, *unseen)
    with evaluating(network), torch.no_grad():
        expected = network(images).logits
    answers = set()
    for _ in range(3):
        teacher = FrozenTeacher(network, ["logits"])
        refused = teacher.prepare(torch.rand(1, 3, *size))
        error = (teacher(images)["logits"] - expected).abs().max() / expected.abs().max()
        if not error < AGREES:
            raise ValueError(f"logits differ by {error:.2g}")
        answers.add("as given" if refused else "rewritten")
        gc.collect()
    return " or ".join(sorted(answers))


def export(network: nn.Module, file: Path, size: Size) -> str:
    """Write ONNX and run it: at any size, else at one."""
    reason = ""
    any_size = (size, other(size, -1, 1), other(size, 32, 32))
    for static, sizes in ((False, any_size), (True, (size,))):
        try:
            export_onnx(network, file, size, static=static)
            opened = open_file(file, "onnx", classes=NAMES)
            for parity in compare(network, opened, sizes):
                far = parity.largest_difference or 0.0
                if parity.failure or not far < AGREES:
                    differs = "" if math.isinf(far) else f"logits differ by {far:.2g}"
                    raise ValueError(parity.failure or differs)
        except ValueError as error:
            reason = reason or str(error)
            continue
        return "one size" if static else "any size"
    raise ValueError(reason)


def other(size: Size, taller: int, wider: int) -> Size:
    """Return a size that differs from another by as many pixels."""
    return size[0] + taller, size[1] + wider


def said(step: Callable[[], str]) -> str:
    """Return what a step answers, or ``no: `` and the first line of what it raises."""
    try:
        with limited(LIMIT):
            return step()
    except Exception as error:  # whatever a foreign network raises is what is measured
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f"no: {lines[0][:200]}"


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError where a block takes more of the processor."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


if __name__ == "__main__":
    print(f"timm {timm.__version__}")
    main()
