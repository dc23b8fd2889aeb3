"""Distil a large semantic-segmentation network into a small, fast one, and know if it helped.

The verbs of the command line are functions here: ``segdistill.distill("run.yaml")``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segdistill.api.analyses import analyse as analyse
    from segdistill.api.convert import convert as convert
    from segdistill.api.init import init as init
    from segdistill.api.saved import load_run as load_run
    from segdistill.api.scoring import evaluate as evaluate
    from segdistill.api.scoring import predict as predict
    from segdistill.api.showcase import demo as demo
    from segdistill.api.studies import study as study
    from segdistill.api.training_runs import distill as distill
    from segdistill.api.training_runs import train as train
    from segdistill.api.trial import check as check
    from segdistill.api.verify import verify as verify

_MODULES = {
    "analyse": "analyses",
    "check": "trial",
    "convert": "convert",
    "demo": "showcase",
    "distill": "training_runs",
    "evaluate": "scoring",
    "init": "init",
    "load_run": "saved",
    "predict": "scoring",
    "study": "studies",
    "train": "training_runs",
    "verify": "verify",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used, so that ``import segdistill`` loads no torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"segdistill.api.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
