"""``segdistill train``: a network without a teacher."""

from __future__ import annotations

from segdistill.cli.running import run
from segdistill.cli.words import Config, Json, Out, Overrides, Resume, Trust


def train(
    config: Config,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Train a network without a teacher.

    It is the student of the config: a future teacher or a baseline.

    Example: segdistill train camvid/teacher data.root=camvid --out runs/teacher
    """
    run("train", config, overrides, out=out, resume=resume, trust=trust, json=json)
