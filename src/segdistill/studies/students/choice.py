"""The front of a search, and the student that is worth its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.config import StudentSearchConfig
from segdistill.errors import RunFolderError, SegdistillError
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.search import trial_folder
from segdistill.runs.students import Time, Timed, read_timed, read_together
from segdistill.studies.budget import Verdict, decide
from segdistill.studies.statistics import Interval
from segdistill.studies.students.configs import PAIR


@dataclass(frozen=True)
class Finished:
    """A student that was trained to the end.

    Attributes:
        timed: the student, with the time by which it was let in.
        time: its time in turns with all others that were trained to the end.
        counts: confusion matrix of each held-out image, (N, K, K).
        fits: whether nine of ten passes keep the limit.
    """

    timed: Timed
    time: Time
    counts: np.ndarray
    fits: bool


def finished_students(search: StudentSearchConfig, out: Path) -> dict[str, Finished]:
    """Return the students that were trained to the end by name, fastest first.

    Raises:
        RunFolderError: a file is missing or broken.
    """
    together = read_together(out)
    times: Mapping[str, Time] = {} if together is None else together.times
    limit = search.latency.limit_ms
    found = {}
    for one in sorted(
        (one for one in read_timed(out) if one.name in times),
        key=lambda one: times[one.name].median_ms,
    ):
        run = out / trial_folder(PAIR, one.round) / one.name
        images = read_image_counts(run)
        if images is None:
            raise RunFolderError(
                f"{run}: expected the confusion matrix of each image, got none; search on fewer "
                "held-out images (search.holdout)"
            )
        time, counts = times[one.name], images.counts
        counts = counts[counts.sum(axis=(1, 2)) > 0]  # an image without labels says nothing
        found[one.name] = Finished(one, time, counts, fits=limit is None or time.high_ms <= limit)
    return found


def choose_student(search: StudentSearchConfig, out: Path) -> Verdict:
    """Choose the cheapest student under the limit that cannot be told from the best one there.

    Raises:
        SegdistillError: no student that was trained to the end keeps the limit.
        RunFolderError: a file is missing or broken.
    """
    found = finished_students(search, out)
    fitting = {name: one for name, one in found.items() if one.fits}
    if not fitting:
        name, least = min(found.items(), key=lambda item: item[1].time.high_ms)
        raise SegdistillError(too_slow(search, name, least.time.high_ms, least.timed.student))
    return decide(
        {name: one.counts for name, one in fitting.items()},
        {
            name: Interval(one.time.low_ms, one.time.median_ms, one.time.high_ms)
            for name, one in fitting.items()
        },
    )


def too_slow(
    search: StudentSearchConfig, name: str, least_ms: float, student: Mapping[str, Any]
) -> str:
    """Return the message that no student keeps the limit."""
    limit = search.latency.limit_ms or 0.0
    words = ", ".join(f"{key} {value}" for key, value in student.items())
    return (
        f"search: expected a student that keeps {limit:g} ms, got {least_ms:.1f} ms at the least, "
        f"of {name} ({words}); allow more with --latency, time a smaller --size, or add smaller "
        "students to the file"
    )
