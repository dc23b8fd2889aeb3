"""``segdistill distill``: a student, or a cohort of students, under a teacher."""

from __future__ import annotations

from segdistill.cli.words import Config, Json, Out, Overrides, Resume


def distill(
    config: Config,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Distil a teacher into a student, or into the students of a cohort.

    Example: segdistill distill camvid/students data.root=camvid training.seed=1
    """
    from segdistill.catalogue import load_configs

    load_configs(config, overrides or ())  # a mistake is answered before torch is loaded
    from segdistill import verbs
    from segdistill.cli.progress import display
    from segdistill.cli.results import print_runs

    with display() as tell:
        runs = verbs.distill(config, out, overrides=overrides or (), resume=resume, tell=tell)
    print_runs(runs, as_json=json)
    if not json:
        folder = runs[0] if len(runs) == 1 else runs[0].parent
        print(f"next: segdistill evaluate {runs[0]}   or open {folder / 'report.html'}")
