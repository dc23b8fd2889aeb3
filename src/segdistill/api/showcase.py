"""The demo: the whole way on drawn scenes, and what its differences are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.api.training_runs import check_cohort_folder, distill, train
from segdistill.config.loading import load_configs
from segdistill.reporting.page import write_report
from segdistill.studies.images import bootstrap_difference
from segdistill.studies.verdict import points
from segdistill.training.events import Tell, silent


@dataclass(frozen=True)
class Demo:
    """What the demo made: run folders, teacher first, and what the gains are worth."""

    runs: list[Path]
    notes: list[str]


def demo(out: str | Path, *, overrides: Sequence[str] = (), tell: Tell = silent) -> Demo:
    """Train a teacher and a cohort of three students on drawn scenes, and compare them.

    Args:
        out: folder of the runs and the report; finished parts are not run again.
        overrides: ``a.b=value`` words for teacher and students, such as ``training.steps=50``.
        tell: called with what happens.

    Raises:
        RunFolderError: the folder holds other files than a demo's.
    """
    out, words = Path(out), list(overrides)
    check_cohort_folder(out, ["teacher", *load_configs("scenes/students", words)])
    teacher = train("scenes/teacher", out / "teacher", overrides=words, resume=True, tell=tell)
    words.append(f"teacher.weights={teacher[0] / 'model.safetensors'}")
    students = distill("scenes/students", out, overrides=words, resume=True, tell=tell)
    runs = [*teacher, *students]
    plain, *distilled = students
    notes = [image_noise(run, plain) for run in distilled]
    write_report(runs, out / "report.html", title="segdistill demo: drawn scenes", notes=notes)
    return Demo(runs, notes)


def image_noise(run: Path, baseline: Path) -> str:
    """Say whether two single runs differ by more than the choice of images explains.

    Args:
        run: a finished run.
        baseline: another on the same images.
    """
    counts = [
        np.load(folder / "confusion_images.npz", allow_pickle=False)["counts"]
        for folder in (run, baseline)
    ]
    gain = bootstrap_difference(*counts)
    told = "outside" if gain.excludes_zero() else "inside"
    return (
        f"{run.name} against {baseline.name}: {points(gain.estimate)} mIoU points, "
        f"{points(gain.low)} to {points(gain.high)} when the {len(counts[0])} images are drawn "
        f"again: {told} the noise of the images. It is one seed of each, and another seed often "
        "moves a student by more than distillation does: several paired seeds decide."
    )
