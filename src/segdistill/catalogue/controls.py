"""Control arms of a study: what a gain has to be told from, each one word in the study file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Control:
    """One row of ``CONTROLS``.

    Attributes:
        about: what it rules out, for documentation.
        terms: none, those of the study's first method, or a term of its own.
        teacher: the pair's, a network like it that knows nothing, or a plain student that the
            study trains first.
        settings: values by path that differ from the study's.
        longer: whether it gets the seconds of the dearest method before it in the file.
    """

    about: str
    terms: Literal["none", "first"] | tuple[Mapping[str, Any], ...] = "none"
    teacher: Literal["given", "random", "own"] = "given"
    settings: Mapping[str, Any] = field(default_factory=dict)
    longer: bool = False


CONTROLS: Mapping[str, Control] = {
    "longer": Control(
        about="The plain student for as long as the dearest method takes: is it only time?",
        longer=True,
    ),
    "label_smoothing": Control(
        about="The plain student with labels smoothed by 0.1: is it only softer targets?",
        settings={"training.label_smoothing": 0.1},
    ),
    "random_teacher": Control(
        about="The first method with a teacher that knows nothing: is it what the teacher knows?",
        terms="first",
        teacher="random",
    ),
    "self_distillation": Control(
        about="The first method with a plain student as teacher: does it take a larger one?",
        terms="first",
        teacher="own",
    ),
    "hard_labels": Control(
        about="The teacher's classes in place of labels: does its softness matter?",
        terms=({"loss": "hard_labels"},),
        settings={"training.task.weight": 0.0},
    ),
}
