"""Demo: the whole workflow on drawn scenes, and how significant its differences are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.api.distill import distill
from segdistill.api.folders import check_cohort_folder
from segdistill.api.train import train
from segdistill.config.loading import load_configs
from segdistill.errors import RunFolderError
from segdistill.reporting.page import write_report
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.layout import REPORT
from segdistill.runs.student import student_file
from segdistill.studies.bootstrap import bootstrap_difference
from segdistill.studies.verdict import points
from segdistill.training.devices import computes_bfloat16
from segdistill.training.events import Tell, silent


@dataclass(frozen=True)
class Demo:
    """The demo's run folders, teacher first, and remarks on the significance of the gains."""

    runs: list[Path]
    notes: list[str]


def demo(out: str | Path, *, overrides: Sequence[str] = (), tell: Tell = silent) -> Demo:
    """Train a teacher and a cohort of three students on drawn scenes, and compare them.

    Example::

        segdistill.demo("demo", overrides=["training.steps=50"], tell=print)

    Args:
        out: folder of the runs and the report; finished parts are not repeated.
        overrides: overrides ``a.b=value`` for teacher and students, such as ``training.steps=50``.
        tell: called with every event.

    Raises:
        RunFolderError: the folder contains files that are not from a demo.
    """
    out = Path(out)
    slow = [] if computes_bfloat16() else ["training.precision=32-true"]
    words = [*slow, *overrides]
    check_cohort_folder(out, ["teacher", *load_configs("scenes/students", words)])
    teacher = train("scenes/teacher", out / "teacher", overrides=words, resume=True, tell=tell)
    words.append(f"teacher.weights={student_file(teacher[0])}")
    students = distill("scenes/students", out, overrides=words, resume=True, tell=tell)
    runs = [*teacher, *students]
    plain, *distilled = students
    notes = [image_noise(run, plain) for run in distilled]
    write_report(runs, out / REPORT, title="segdistill demo: drawn scenes", notes=notes)
    return Demo(runs, notes)


def image_noise(run: Path, baseline: Path) -> str:
    """Say whether two single runs differ by more than the sampling of images explains.

    Args:
        run: a finished run.
        baseline: another run on the same images.
    """
    counts = [_image_counts(folder) for folder in (run, baseline)]
    gain = bootstrap_difference(*counts)
    told = "outside" if gain.excludes_zero() else "inside"
    return (
        f"{run.name} against {baseline.name}: {points(gain.estimate)} mIoU points, "
        f"{points(gain.low)} to {points(gain.high)} when the {len(counts[0])} images are "
        f"resampled: {told} the noise of the images. This is one seed each, and another seed often "
        "changes a student by more than distillation does, so several paired seeds are needed."
    )


def _image_counts(run: Path) -> np.ndarray:
    images = read_image_counts(run)
    if images is None:
        raise RunFolderError(
            f"{run}: expected a confusion matrix per image, got none; score fewer images"
        )
    return images.counts
