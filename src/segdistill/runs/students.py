"""The folder of a search of students: its file, and the times of the students.

Trials are lines of ``trials.jsonl`` and runs are in folders named as in a study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segdistill.runs.documents import (
    append_line,
    read_document,
    read_lines,
    read_yaml,
    write_document,
    write_yaml,
)
from segdistill.runs.layout import STUDENT_SEARCH, STUDY_RESULTS, TIMED, TOGETHER


@dataclass(frozen=True)
class Time:
    """What one image takes, and what the network consists of.

    Attributes:
        median_ms: median duration of a pass.
        low_ms: tenth percentile.
        high_ms: ninetieth percentile.
        params_m: parameters, in millions.
        gflops: operations for the image, in 10⁹.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    params_m: float
    gflops: float


@dataclass(frozen=True)
class Timed:
    """A line of ``timed.jsonl``: a student that was suggested, and its time.

    Attributes:
        name: its family and number; also the name of its run folder.
        number: number of the student, from 0.
        round: number of the students that were suggested for one round of training.
        family: name of its family.
        student: its section.
        time: None if it could not be built or run.
        trained: whether it is to be trained.
        error: why there is no time.
    """

    name: str
    number: int
    round: int
    family: str
    student: Mapping[str, Any]
    time: Time | None
    trained: bool
    error: str | None = None


@dataclass(frozen=True)
class Together:
    """``together.json``: the times of all students trained to the end, measured in turns.

    Attributes:
        times: by name of the student.
        size: height and width of the image.
        device: name of the processor or graphics card.
        threads: number of torch threads.
        others: share of the processors that other programs used meanwhile; None if unknown.
    """

    times: Mapping[str, Time] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    device: str = ""
    threads: int = 1
    others: float | None = None


@dataclass(frozen=True, kw_only=True)
class Student:
    """A student of ``results.json``.

    Attributes:
        name: its name.
        number: number of the student, in the order of suggestions.
        family: name of its family.
        student: its section.
        status: how it ended; ``too slow`` and ``refused`` ones were not trained.
        time: its time: in turns with all others that were trained to the end if it is one of
            them, and with those of its round otherwise.
        fits: whether nine of ten passes keep the limit.
        on_front: whether no student trained to the end is as fast and better, or as good and
            faster.
        miou: on the held-out images at its last score, None without one.
        low: lower end of the interval of ``miou`` over images, None unless trained to the end.
        high: upper end.
        step: steps done.
        seconds: duration of its training, as if alone.
        error: why it failed or was refused.
    """

    name: str
    number: int
    family: str
    student: Mapping[str, Any]
    status: Literal["done", "pruned", "failed", "too slow", "refused"]
    time: Time | None
    fits: bool
    on_front: bool = False
    miou: float | None = None
    low: float | None = None
    high: float | None = None
    step: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class FinalScore:
    """The chosen student's scores on the reported split.

    Attributes:
        split: name of the split.
        images: number of its images with labels.
        seeds: mIoU by seed.
        mean: mean over seeds.
        deviation: standard deviation over seeds, None for one.
        low: lower end of the interval of the mean over images; None if the images' confusion
            matrices were not kept.
        high: upper end.
        failed: why runs failed, by seed.
    """

    split: str
    images: int | None
    seeds: Mapping[int, float]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    failed: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class Found:
    """``results.json`` of a search of students.

    Attributes:
        hash: hash of the search file.
        limit_ms: milliseconds that nine of ten passes over one image must keep, None for none.
        size: height and width of the timed image.
        device: name of the processor or graphics card.
        threads: number of torch threads.
        others: share of the processors that other programs used while all were timed in turns.
        space: number of students that the file allows.
        images: number of held-out images that students were compared on.
        students: every student that was suggested, in that order.
        best: the student with the highest mIoU under the limit.
        chosen: the cheapest that cannot be told from it.
        equals: those under the limit that cannot be told from the best.
        reasons: why it was chosen, a sentence each.
        final: its scores on the reported split.
        command: what exports it.
    """

    hash: str
    limit_ms: float | None
    size: tuple[int, int]
    device: str
    threads: int
    others: float | None
    space: int
    images: int
    students: tuple[Student, ...]
    best: str
    chosen: str
    equals: tuple[str, ...]
    reasons: tuple[str, ...]
    final: FinalScore
    command: str

    def of(self, name: str) -> Student:
        """Return a student by its name."""
        return next(one for one in self.students if one.name == name)


def is_search(folder: Path) -> bool:
    """Return whether a folder contains a search of students."""
    return (folder / STUDENT_SEARCH).is_file()


def search_file(folder: Path) -> Path:
    """Return the file of the search in its folder."""
    return folder / STUDENT_SEARCH


def write_search(folder: Path, tree: Mapping[str, Any]) -> None:
    """Write ``search.yaml``: the search file with every default."""
    write_yaml(folder / STUDENT_SEARCH, tree)


def read_search(folder: Path) -> dict[str, Any]:
    """Read ``search.yaml``; raises :class:`RunFolderError` if it is missing or broken."""
    return read_yaml(folder / STUDENT_SEARCH)


def append_timed(folder: Path, students: Sequence[Timed]) -> None:
    """Append lines to ``timed.jsonl``, after removing a truncated one."""
    for student in students:
        append_line(folder / TIMED, student)


def read_timed(folder: Path) -> list[Timed]:
    """Return every student that was timed; raises :class:`RunFolderError` if a line is broken."""
    return read_lines(folder / TIMED, Timed)


def forget_timed(folder: Path) -> None:
    """Remove the times of a search that has not started to train."""
    (folder / TIMED).unlink(missing_ok=True)


def write_together(folder: Path, together: Together) -> None:
    """Write ``together.json``."""
    write_document(folder / TOGETHER, together)


def read_together(folder: Path) -> Together | None:
    """Read ``together.json``, None if it does not exist; raises :class:`RunFolderError`."""
    file = folder / TOGETHER
    return read_document(file, Together) if file.exists() else None


def write_found(folder: Path, found: Found) -> None:
    """Write ``results.json``."""
    write_document(folder / STUDY_RESULTS, found)


def read_found(folder: Path) -> Found:
    """Read ``results.json``; raises :class:`RunFolderError` if it is missing or broken."""
    return read_document(folder / STUDY_RESULTS, Found)
