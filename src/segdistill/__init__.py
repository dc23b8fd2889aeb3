"""Distil a large semantic-segmentation network into a small, fast one, and know if it helped.

Each command of ``segdistill`` is a function here, which prints nothing and returns what it made::

    import segdistill

    (teacher,) = segdistill.train("camvid/teacher", "runs/teacher", overrides=["data.root=camvid"])
    words = ["data.root=camvid", "teacher.weights=runs/teacher/model.safetensors"]
    runs = segdistill.distill("camvid/students", "runs/students", overrides=words)
    segdistill.report(runs, "report.html")

    student = segdistill.load("runs/students/kl")
    prediction = student.predict("photo.jpg")
    prediction.mask, prediction.names, prediction.shares(), prediction.overlay()

Before training:

- ``init(folder)`` looks at images and masks, and writes a config for them
- ``convert(export, out)`` makes such a folder of what an annotation tool exported
- ``check(config)`` tries a config: keys, data, networks, taps, and one training step
- ``taps(config)`` lists the inner maps that a loss may compare
- ``pack(dataset, out)`` copies a dataset so that crops are read fast

Training and comparing:

- ``train(config)`` trains a network without a teacher: a teacher-to-be, or a baseline
- ``distill(config)`` trains a student, or a cohort of students, under a teacher
- ``study(file, out)`` tunes, repeats over seeds and compares, with the statistics that decide
- ``verify(study)`` recomputes a finished study and lists what does not fit
- ``evaluate(run)`` scores a student on a split
- ``analyse(runs)`` looks into teacher and students, as the papers' figures do
- ``report(runs)`` writes one HTML page that compares runs, or shows a study
- ``demo(out)`` goes the whole way on drawn scenes, in a few minutes

Using a student:

- ``load(run)`` reads it, or an exported file: ``.network``, ``.classes``, ``.predict(image)``
- ``predict(run, images, out)`` writes masks of image files, folders or a split
- ``export(run)`` writes a file that other programs run, run beside its network first
- ``choose(runs)`` says which student to ship, as which file, under a limit of time
- ``cost(config, size)`` counts parameters and arithmetic
- ``latency(run, size)`` times networks on one image
- ``energy(runs, size)`` reads the hardware's counter while they run

Progress: pass ``tell=print``, or any function of one event. Losses and networks by themselves
are in ``segdistill.losses`` and ``segdistill.models``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segdistill.threads import wait_passively

if TYPE_CHECKING:
    from segdistill.api.analyse import analyse as analyse
    from segdistill.api.check import check as check
    from segdistill.api.choose import choose as choose
    from segdistill.api.convert import convert as convert
    from segdistill.api.cost import cost as cost
    from segdistill.api.demo import demo as demo
    from segdistill.api.distill import distill as distill
    from segdistill.api.energy import energy as energy
    from segdistill.api.evaluate import evaluate as evaluate
    from segdistill.api.export import export as export
    from segdistill.api.init import init as init
    from segdistill.api.latency import latency as latency
    from segdistill.api.load import load as load
    from segdistill.api.pack import pack as pack
    from segdistill.api.predict import predict as predict
    from segdistill.api.report import report as report
    from segdistill.api.study import study as study
    from segdistill.api.taps import taps as taps
    from segdistill.api.train import train as train
    from segdistill.api.verify import verify as verify

__all__ = [
    "analyse",
    "check",
    "choose",
    "convert",
    "cost",
    "demo",
    "distill",
    "energy",
    "evaluate",
    "export",
    "init",
    "latency",
    "load",
    "pack",
    "predict",
    "report",
    "study",
    "taps",
    "train",
    "verify",
]

wait_passively()  # read when torch is loaded, which only happens below


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used, so that ``import segdistill`` loads no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"segdistill.api.{name}"), name)


def __dir__() -> list[str]:
    return __all__
