"""Argument checks: one wording for the whole package.

A message says who refuses, what was expected, what was given and what to do about it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def check_batches(caller: str, *, student: Tensor, teacher: Tensor) -> None:
    """Refuse a pair of maps that are not of the same images; their sizes may differ.

    Args:
        caller: name of the function that refuses, the first word of the message.
        student: the student's map.
        teacher: the teacher's map.

    Raises:
        ValueError: the maps are not both floating-point ``(N, C, H, W)``, are empty, or
            differ in number of images.
    """
    given = f"got student {tuple(student.shape)} and teacher {tuple(teacher.shape)}"
    if student.ndim != 4 or teacher.ndim != 4:
        raise ValueError(f"{caller}: expected two maps (N, C, H, W), {given}")
    if not (student.is_floating_point() and teacher.is_floating_point()):
        raise ValueError(
            f"{caller}: expected floating-point maps, got {student.dtype} and {teacher.dtype}; "
            "convert them with .float()"
        )
    if student.numel() == 0 or teacher.numel() == 0:
        raise ValueError(f"{caller}: expected maps with at least one value, {given}")
    if student.shape[0] != teacher.shape[0]:
        raise ValueError(
            f"{caller}: expected equal shapes, {given}; give both networks the same batch of images"
        )


def check_maps(caller: str, *, student: Tensor, teacher: Tensor) -> None:
    """Refuse a pair of maps that differ in anything but their channel count.

    Args:
        caller: name of the function that refuses, the first word of the message.
        student: the student's map.
        teacher: the teacher's map.

    Raises:
        ValueError: the maps are not both ``(N, C, H, W)``, are empty, or differ in number
            of images, height or width.
    """
    check_batches(caller, student=student, teacher=teacher)
    if student.shape[2:] != teacher.shape[2:]:
        raise ValueError(
            f"{caller}: expected equal shapes, got student {tuple(student.shape)} "
            f"and teacher {tuple(teacher.shape)}; "
            "resize the teacher first, with segdistill.losses.resize_like(teacher, student)"
        )


def check_same_maps(caller: str, *, student: Tensor, teacher: Tensor) -> None:
    """Refuse a pair of maps that cannot be compared value by value.

    Args:
        caller: name of the function that refuses, the first word of the message.
        student: the student's map.
        teacher: the teacher's map.

    Raises:
        ValueError: the maps are not both ``(N, C, H, W)``, are empty, or differ in shape.
    """
    comparable = student.ndim == teacher.ndim == 4 and student.numel() and teacher.numel()
    if comparable and student.shape[1] != teacher.shape[1]:
        raise ValueError(
            f"{caller}: expected equal channel counts, got student {tuple(student.shape)} "
            f"and teacher {tuple(teacher.shape)}; "
            "project the student first, with segdistill.losses.Projector"
        )
    check_maps(caller, student=student, teacher=teacher)


def check_classes(caller: str, maps: Tensor) -> None:
    """Refuse logits of one class, of which the softmax is 1 whatever they are.

    Raises:
        ValueError: they have fewer than two channels.
    """
    if maps.shape[1] < 2:
        raise ValueError(
            f"{caller}: expected logits of at least 2 classes, got {tuple(maps.shape)}; one "
            "logit z of a foreground stands for the pair (0, z): give "
            "torch.cat((torch.zeros_like(z), z), dim=1)"
        )


def check_directions(caller: str, student: Tensor) -> None:
    """Refuse a map whose vectors have a sign and no direction to learn.

    Raises:
        ValueError: it has fewer than two channels.
    """
    if student.shape[1] < 2:
        raise ValueError(
            f"{caller}: expected a student's map of at least 2 channels, got "
            f"{tuple(student.shape)}, whose vectors have no direction that could change; compare "
            "another tap"
        )


def check_positive(caller: str, **values: float) -> None:
    """Refuse a hyperparameter that is not a finite number above zero.

    Raises:
        ValueError: names the first value that is not.
    """
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{caller}: expected {name} > 0 and finite, got {value}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return how an unknown word is answered: the nearest known one, or all of them.

    Args:
        word: what was given.
        known: what would have been accepted.

    Returns:
        ``"did you mean 'x'?"`` or ``"choose one of: a, b, c"``.
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"choose one of: {', '.join(names)}"


def check_normalisation(
    caller: str, mean: Sequence[float] | None, std: Sequence[float] | None
) -> None:
    """Refuse a mean and a standard deviation that do not normalise images in [0, 1].

    Args:
        caller: who refuses, the first word of the message.
        mean: of red, green and blue; None if nothing is subtracted.
        std: their standard deviation, None likewise.

    Raises:
        ValueError: one is given without the other, they are not of three colours, or not in
            the scale of images in [0, 1].
    """
    if mean is None and std is None:
        return
    if mean is None or std is None:
        given, other = ("std", "mean") if mean is None else ("mean", "std")
        raise ValueError(f"{caller}: expected mean and std together, got {given}; add {other}")
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(
            f"{caller}: expected a mean and a std of red, green and blue, got "
            f"{list(mean)} and {list(std)}"
        )
    if max(mean) > 1 or max(std) > 1:
        raise ValueError(
            f"{caller}: expected mean and std of images in [0, 1], got {list(mean)} and "
            f"{list(std)}; divide both by 255"
        )
    if min(mean) < 0 or min(std) <= 0:
        raise ValueError(
            f"{caller}: expected mean of at least 0 and std above 0, got {list(mean)} and "
            f"{list(std)}"
        )
