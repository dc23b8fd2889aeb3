"""Checks one distillation loss against the contract of all: each breach is one line."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from segdistill.types import IGNORE_INDEX, Batch

IMAGE = (24, 40)
SIZE = (6, 10)
FIRST = "a finite value and gradient"
PROCESSES = "two processes are one"


@dataclass(frozen=True)
class Subject:
    """A loss to be tried.

    Attributes:
        name: its name in messages.
        make: builds a new instance, the same every time.
        call: calls it with maps and a batch.
        channels: width of both maps.
        classes: number of classes.
        steady: builds it without the random draws for each image, if it has such a form.
        waived: checks that are not meant to hold for it, each with the reason.
    """

    name: str
    make: Callable[[], nn.Module]
    call: Callable[[nn.Module, Tensor, Tensor, Batch], Tensor | dict[str, Tensor]]
    channels: int = 6
    classes: int = 5
    steady: Callable[[], nn.Module] | None = None
    waived: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: name of the check.
        fault: what is wrong and what that means, in one line; empty if the check holds.
        waived: why the check was not run, if it is not meant to hold for the loss.
    """

    check: str
    fault: str = ""
    waived: str = ""


def try_contract(subject: Subject, *, processes: bool = True) -> list[Finding]:
    """Run every check on a loss.

    Args:
        subject: the loss.
        processes: also compute it in two processes, which takes a few seconds.
    """
    findings = []
    for name, check in CHECKS.items():
        if name in subject.waived:
            findings.append(Finding(name, waived=subject.waived[name]))
            continue
        if name == PROCESSES and not (processes and hasattr(os, "fork")):
            continue
        try:
            fault = check(subject)
        except Exception as error:  # anybody's code runs here and may raise anything
            fault = f"it raised {type(error).__name__}: {error}".splitlines()[0]
        findings.append(Finding(name, fault or ""))
        if fault and name == FIRST:
            break  # the other checks could tell nothing
    return findings


def maps(subject: Subject, images: int = 2, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    student, teacher = 2 * torch.randn(2, images, subject.channels, *size, generator=generator)
    return student, teacher


def batch(subject: Subject, images: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(0, subject.classes, (images, *IMAGE), generator=generator)
    labels[:, :5] = IGNORE_INDEX
    valid = torch.ones(images, *IMAGE, dtype=torch.bool)
    pictures = torch.randint(0, 256, (images, 3, *IMAGE), generator=generator)
    return Batch(pictures.to(torch.uint8), labels, valid)


def value(subject: Subject, module: nn.Module, *given: Any) -> Tensor:
    """Return the loss as a single scalar, the sum of its parts."""
    result = subject.call(module, *given)
    parts = list(result.values()) if isinstance(result, dict) else [result]
    for part in parts:
        if not isinstance(part, Tensor) or part.shape != ():
            shape = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"expected a scalar, or a dict of named scalars, got {shape}")
    return torch.stack(parts).sum()


def slope(
    subject: Subject, module: nn.Module, student: Tensor, teacher: Tensor, given: Batch
) -> tuple[Tensor, Tensor]:
    """Return the value and its gradient with respect to the student's map."""
    student = student.detach().clone().requires_grad_()
    loss = value(subject, module, student, teacher, given)
    if not loss.requires_grad:
        raise ValueError("expected a value with a graph, got a constant; nothing would be learnt")
    loss.backward()  # type: ignore[no-untyped-call]
    if student.grad is None:
        raise ValueError("expected a gradient for the student's map, got none")
    return loss.detach(), student.grad


def _finite(subject: Subject) -> str:
    student, teacher = maps(subject)
    loss, gradient = slope(subject, subject.make(), student, teacher, batch(subject))
    if not loss.isfinite():
        return f"the value is {float(loss)} on ordinary maps: training would stop at the first step"
    if not gradient.isfinite().all():
        return "the gradient is not finite on ordinary maps: one step destroys the student"
    if gradient.abs().max() == 0:
        return "the gradient is 0 on ordinary maps: nothing would be learnt"
    return ""


def _extremes(subject: Subject) -> str:
    student, teacher = maps(subject)
    zeros, peak, far = torch.zeros_like(student), torch.zeros_like(student), 1e4 * student
    peak[0, 0, 0, 0] = 1e4
    relu, nothing = student.clamp_min(0), batch(subject)
    relu[:, :, 2] = 0
    nothing = nothing._replace(
        labels=torch.full_like(nothing.labels, IGNORE_INDEX),
        valid=torch.zeros_like(nothing.valid),
    )
    cases = {
        "maps of zeros": (zeros, zeros, batch(subject)),
        "a student of zeros": (zeros, teacher, batch(subject)),
        "a teacher of zeros": (student, zeros, batch(subject)),
        "one peak of 10000": (peak, peak.flip(2, 3), batch(subject)),
        "values of some 10000": (far, 1e4 * teacher, batch(subject)),
        "rectified features, one row of zeros": (relu, teacher, batch(subject)),
        "nothing labelled and nothing valid": (student, teacher, nothing),
        "a map of one position": (*maps(subject, size=(1, 1)), batch(subject)),
    }
    for words, given in cases.items():
        loss, gradient = slope(subject, subject.make(), *given)
        if not loss.isfinite():
            return f"the value is {float(loss)} for {words}: such a batch comes, and ends the run"
        if not gradient.isfinite().all():
            return f"the gradient is not finite for {words}: such a batch destroys the student"
        if words != "values of some 10000" and gradient.abs().max() > 1e5:
            return (
                f"the gradient reaches {float(gradient.abs().max()):.1e} for {words}: divide by a "
                "norm that is clamped from below"
            )
    return ""


def _teacher(subject: Subject) -> str:
    student, teacher = maps(subject)
    student, teacher = student.requires_grad_(), teacher.requires_grad_()
    value(subject, subject.make(), student, teacher, batch(subject)).backward()  # type: ignore[no-untyped-call]
    if teacher.grad is not None:
        return "a gradient reaches the teacher's map: detach it, or the teacher is trained as well"
    return ""


def _mean_over_images(subject: Subject) -> str:
    student, teacher = maps(subject)
    given = batch(subject)
    once = value(subject, subject.make(), student, teacher, given)
    repeated = Batch(*(x.repeat(3, *[1] * (x.ndim - 1)) for x in given))
    larger = [x.repeat(3, 1, 1, 1) for x in (student, teacher)]
    thrice = value(subject, subject.make(), *larger, repeated)
    return _same(thrice, once, "each image three times", "divide by the images")


def _mean_over_positions(subject: Subject) -> str:
    def tiled(maps: Tensor, times: int) -> Tensor:
        return maps.repeat_interleave(times, dim=-2).repeat_interleave(times, dim=-1)

    student, teacher = maps(subject)
    given = batch(subject)
    given = given._replace(
        labels=torch.randint(
            0, subject.classes, (2, *SIZE), generator=torch.Generator().manual_seed(3)
        )
    )
    given = given._replace(
        valid=torch.ones_like(given.labels, dtype=torch.bool), images=given.images[..., :6, :10]
    )
    once = value(subject, subject.make(), student, teacher, given)
    larger = Batch(*(tiled(x, 2) for x in given))
    four = value(subject, subject.make(), tiled(student, 2), tiled(teacher, 2), larger)
    before, after = float(once.detach()), float(four.detach())
    if before < 1e-9 or 0.5 < after / before < 2:
        return ""
    return (
        f"the value goes from {before:.4g} to {after:.4g} on maps of twice the height "
        "and width: a weight found at one crop is wrong at another; divide by the positions"
    )


def _memory_format(subject: Subject) -> str:
    student, teacher = maps(subject)
    given = batch(subject)
    expected = value(subject, subject.make(), student, teacher, given)
    stored = [x.to(memory_format=torch.channels_last) for x in (student, teacher)]
    loss = value(subject, subject.make(), *stored, given)
    return _same(loss, expected, "maps in channels-last memory", "use reshape or flatten, not view")


def _autocast(subject: Subject) -> str:
    student, teacher = maps(subject)
    given = batch(subject)
    expected = value(subject, subject.make(), student, teacher, given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = value(subject, subject.make(), student, teacher, given)
    if loss.dtype not in (torch.float32, torch.float64):
        return f"the value is {loss.dtype} under autocast: compute it in float32, with autocast off"
    layers = any(True for _ in subject.make().parameters())
    return _same(
        loss, expected, "autocast", "turn it off inside the loss", 5e-2 if layers else 1e-3
    )


def _half(subject: Subject) -> str:
    student, teacher = (x.bfloat16() for x in maps(subject))
    given = batch(subject)
    expected = value(subject, subject.make(), student.float(), teacher.float(), given)
    loss = value(subject, subject.make(), student, teacher, given)
    if loss.dtype not in (torch.float32, torch.float64):
        return f"half-precision maps give a value of {loss.dtype}: bring them to float32 first"
    return _same(loss, expected, "half-precision maps", "bring them to float32 first", 1e-3)


def _same_map(subject: Subject) -> str:
    student, _ = maps(subject)
    loss = float(value(subject, subject.make(), student, student.clone(), batch(subject)).detach())
    if abs(loss) > 1e-4:
        return (
            f"the value is {loss:.4g} where student and teacher are the same map: a "
            "student that has learnt all is pushed away; if that is meant, waive this check"
        )
    return ""


def _ignored(subject: Subject) -> str:
    student, teacher = maps(subject)
    given = batch(subject)
    for words, rows in (("one row of pixels", 23), ("no pixel", 24)):
        labels = given.labels.clone()
        labels[:, :rows] = IGNORE_INDEX
        some = given._replace(labels=labels)
        loss, gradient = slope(subject, subject.make(), student, teacher, some)
        if not (loss.isfinite() and gradient.isfinite().all()):
            return f"value or gradient is not finite where {words} has a label: count at least 1"
    return ""


def _padding(subject: Subject) -> str:
    given = batch(subject)
    given.valid[:, :, -8:] = False
    results = []
    make = subject.steady or subject.make
    for fill in (0.3, -40.0):
        student, teacher = maps(subject)
        student[..., -2:] = fill
        teacher[..., -2:] = -fill
        results.append(slope(subject, make().eval(), student, teacher, given))
    (loss, gradient), (again, other) = results
    if gradient[..., -2:].abs().max() > 0 or other[..., -2:].abs().max() > 0:
        return (
            "a gradient reaches positions that augmentation padded: take valid= and leave them out"
        )
    return _same(again, loss, "other values where augmentation padded", "take valid= and mask them")


def _state(subject: Subject) -> str:
    student, teacher = maps(subject)
    given = batch(subject)
    one, other = subject.make().train(), subject.make().train()
    value(subject, one, student, teacher, given)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.01)
    other.load_state_dict(one.state_dict())
    loss = value(subject, other, student, teacher, given)
    expected = value(subject, one, student, teacher, given)
    return _same(
        loss,
        expected,
        "after a checkpoint",
        "keep what changes in parameters, buffers or get_extra_state",
    )


def _processes(subject: Subject) -> str:
    student, teacher = maps(subject, images=4)
    given = batch(subject, images=4)
    given.valid[0, :, -8:] = False
    given.labels[3, :16] = IGNORE_INDEX
    make = subject.steady or subject.make
    whole = slope(subject, make().eval(), student, teacher, given)
    with tempfile.TemporaryDirectory() as folder:
        halves = _in_two(subject, make, folder, student, teacher, given)
    loss = (halves[0][0] + halves[1][0]) / 2
    gradient = torch.cat([half[1] for half in halves]) / 2
    said = _same(loss, whole[0], "half of the batch in each of two processes", _GLOBAL)
    if said or torch.allclose(gradient, whole[1], rtol=1e-3, atol=1e-6):
        return said
    return f"the gradient is another with half of the batch in each of two processes: {_GLOBAL}"


_GLOBAL = "divide by counts of the global batch, and take relations over all of it"


def _in_two(
    subject: Subject,
    make: Callable[[], nn.Module],
    folder: str,
    student: Tensor,
    teacher: Tensor,
    given: Batch,
) -> Sequence[tuple[Tensor, Tensor]]:
    """Compute the two halves of a batch in two processes of one group.

    The second process is a fork, because the loss may be a function that no other process
    could import.
    """

    def half(rank: int) -> tuple[Tensor, Tensor]:
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/meeting",
            rank=rank,
            world_size=2,
            timeout=timedelta(seconds=60),
        )
        try:
            rows = slice(2 * rank, 2 * rank + 2)
            part = Batch(*(x[rows] for x in given))
            return slope(subject, make().eval(), student[rows], teacher[rows], part)
        finally:
            distributed.destroy_process_group()

    def child() -> None:
        torch.set_num_threads(1)
        torch.save(half(1), Path(folder) / "half.pt")

    with warnings.catch_warnings():
        # Python warns about threads; the child computes on one and joins none that it inherited.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            child()
        finally:
            os._exit(0)
    try:
        first = half(0)
    finally:
        os.waitpid(pid, 0)
    second = Path(folder) / "half.pt"
    if not second.exists():
        raise RuntimeError("the second process failed")
    return [first, torch.load(second)]


def _same(loss: Tensor, expected: Tensor, when: str, what_to_do: str, bound: float = 1e-3) -> str:
    one, other = float(loss.detach()), float(expected.detach())
    if math.isclose(one, other, rel_tol=bound, abs_tol=1e-5 if bound < 1e-2 else bound):
        return ""
    return f"the value goes from {other:.4g} to {one:.4g} with {when}: {what_to_do}"


CHECKS: dict[str, Callable[[Subject], str]] = {
    FIRST: _finite,
    "finite on extreme maps": _extremes,
    "no gradient to the teacher": _teacher,
    "a mean over images": _mean_over_images,
    "a mean over positions": _mean_over_positions,
    "any memory format": _memory_format,
    "autocast changes nothing": _autocast,
    "half precision in float32": _half,
    "0 for the same map": _same_map,
    "ignored labels": _ignored,
    "padding is left out": _padding,
    "state in the checkpoint": _state,
    PROCESSES: _processes,
}
"""The checks by name, in the order in which they run."""
