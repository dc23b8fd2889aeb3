"""Distil a large semantic-segmentation network into a small, fast one, and know if it helped.

The verbs of the command line are functions here: ``segdistill.distill("run.yaml")``.
"""

from typing import TYPE_CHECKING

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.verbs import analyse as analyse
    from segdistill.verbs import check as check
    from segdistill.verbs import demo as demo
    from segdistill.verbs import distill as distill
    from segdistill.verbs import evaluate as evaluate
    from segdistill.verbs import load_run as load_run
    from segdistill.verbs import predict as predict
    from segdistill.verbs import train as train

_VERBS = ("analyse", "check", "demo", "distill", "evaluate", "load_run", "predict", "train")

__all__ = [*_VERBS]

__getattr__ = lazy_attributes(__name__, dict.fromkeys(_VERBS, "verbs"))
