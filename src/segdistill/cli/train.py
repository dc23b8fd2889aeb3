"""``segdistill train``: a network without a teacher."""

from __future__ import annotations

from segdistill.cli.words import Config, Json, Out, Overrides, Resume


def train(
    config: Config,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train the student of a config without a teacher: a teacher-to-be, or a baseline.

    Example: segdistill train camvid/teacher data.root=camvid --out runs/teacher
    """
    from segdistill.catalogue import load_configs

    load_configs(config, overrides or ())  # a mistake is answered before torch is loaded
    from segdistill import verbs
    from segdistill.cli.progress import display
    from segdistill.cli.results import print_runs

    with display() as tell:
        runs = verbs.train(config, out, overrides=overrides or (), resume=resume, tell=tell)
    print_runs(runs, as_json=json)
    if not json:
        print(f"next: segdistill evaluate {runs[0]}   or open {runs[0] / 'report.html'}")
