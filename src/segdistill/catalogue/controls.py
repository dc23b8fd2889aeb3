"""Control arms of a study: each rules out another explanation of a gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Control:
    """One row of ``CONTROLS``.

    Attributes:
        about: the arm, and the question that it answers.
        terms: no terms, those of the study's first method, or terms of its own.
        teacher: the pair's teacher, the same network with random weights, or a plain student that
            the study trains first.
        settings: values that differ from the study's, by path.
        longer: whether it gets as many seconds as the slowest method before it in the file.
    """

    about: str
    terms: Literal["none", "first"] | tuple[Mapping[str, Any], ...] = "none"
    teacher: Literal["given", "random", "own"] = "given"
    settings: Mapping[str, Any] = field(default_factory=dict)
    longer: bool = False


CONTROLS: Mapping[str, Control] = {
    "longer": Control(
        about="The plain student, trained as long as the slowest method: is it only time?",
        longer=True,
    ),
    "label_smoothing": Control(
        about="The plain student with label smoothing of 0.1: is it only softer targets?",
        settings={"training.label_smoothing": 0.1},
    ),
    "random_teacher": Control(
        about="The first method with a random teacher: does the teacher's knowledge matter?",
        terms="first",
        teacher="random",
    ),
    "self_distillation": Control(
        about="The first method with a plain student as teacher: is a larger teacher needed?",
        terms="first",
        teacher="own",
    ),
    "hard_labels": Control(
        about="The teacher's predicted classes as labels: do soft targets matter?",
        terms=({"loss": "hard_labels"},),
        settings={"training.task.weight": 0.0},
    ),
    "plain_again": Control(
        about="Plain from other initial weights: the mean of both is the baseline of each seed.",
    ),
}
