"""``segdistill distill``: a student, or a cohort of students, with a teacher."""

from __future__ import annotations

from segdistill.cli.running import run
from segdistill.cli.words import Config, Json, Out, Overrides, Resume, Trust


def distill(
    config: Config,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Distil a teacher into a student or a cohort of students.

    Example: segdistill distill camvid/students data.root=camvid training.seed=1
    """
    run("distill", config, overrides, out=out, resume=resume, trust=trust, json=json)
