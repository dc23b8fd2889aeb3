"""``segdistill check``: try a config before it is run."""

from __future__ import annotations

from segdistill.cli.words import Config, Overrides


def check(config: Config, overrides: Overrides = None) -> None:
    """Try a config before training: keys, every file, networks, taps, one step.

    Example: segdistill check camvid/students data.root=camvid
    """
    from segdistill.catalogue import load_configs

    load_configs(config, overrides or ())  # a mistake is answered before torch is loaded
    from segdistill import verbs
    from segdistill.cli.progress import display

    with display() as tell:
        learners = verbs.check(config, overrides=overrides or (), tell=tell)
    verb = "distill" if any(learner.distill for learner in learners.values()) else "train"
    print(f"all checks passed; next: segdistill {verb} {' '.join([config, *(overrides or ())])}")
