"""Distil a large semantic-segmentation network into a small, fast one, and know if it helped.

Every command of ``segdistill`` is also a function, which prints nothing and returns its results::

    import segdistill

    (teacher,) = segdistill.train("camvid/teacher", "runs/teacher", overrides=["data.root=camvid"])
    words = ["data.root=camvid", "teacher.weights=runs/teacher/model.safetensors"]
    runs = segdistill.distill("camvid/students", "runs/students", overrides=words)
    segdistill.report(runs, "report.html")

    student = segdistill.load("runs/students/kl")
    prediction = student.predict("photo.jpg")
    prediction.mask, prediction.names, prediction.shares(), prediction.overlay()

Before training:

- ``init(folder)`` looks at images and masks and writes a config for them
- ``convert(export, out)`` turns an annotation tool's export into such a folder
- ``check(config)`` tries out a config: keys, data, networks, taps and one training step
- ``taps(config)`` lists the inner maps that losses can compare
- ``pack(dataset, out)`` copies a dataset into a format in which crops are read fast

Training and comparing:

- ``train(config)`` trains a network without a teacher: a future teacher or a baseline
- ``distill(config)`` trains a student, or a cohort of students, with a teacher
- ``study(file, out)`` tunes methods, repeats them over seeds and compares them statistically
- ``search(file, out)`` finds the student that is worth its time on a device
- ``verify(study)`` recomputes a finished study and lists contradictions
- ``replay(run)`` repeats the step at which a run diverged
- ``evaluate(run)`` scores a student on a split
- ``analyse(runs)`` makes analyses of teacher and students like the papers' figures
- ``report(runs)`` writes an HTML page that compares runs or presents a study
- ``demo(out)`` shows the whole workflow on drawn scenes, in a few minutes

Using a student:

- ``load(run)`` loads it, or an exported file: ``.network``, ``.classes``, ``.predict(image)``
- ``predict(run, images, out)`` writes masks for image files, folders or a split
- ``ui(runs)`` serves a page that shows what several models predict on an image
- ``export(run)`` writes a file for other runtimes, after comparing it with the network
- ``choose(runs)`` recommends which student to ship, as which file, within a latency budget
- ``cost(config, size)`` counts parameters and arithmetic operations
- ``latency(run, size)`` times networks on one image
- ``energy(runs, size)`` measures energy with the hardware's counters

For progress, pass ``tell=print`` or any function of one event. ``help(segdistill.train)`` and so on
describe arguments and errors. Losses and networks are in ``segdistill.losses`` and
``segdistill.models``.
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
    from segdistill.api.replay import replay as replay
    from segdistill.api.report import report as report
    from segdistill.api.search import search as search
    from segdistill.api.study import study as study
    from segdistill.api.taps import taps as taps
    from segdistill.api.train import train as train
    from segdistill.api.ui import ui as ui
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
    "replay",
    "report",
    "search",
    "study",
    "taps",
    "train",
    "ui",
    "verify",
]

wait_passively()  # sets what torch reads when it is imported, which only happens below


def __getattr__(name: str) -> Any:
    """Import a function when it is first used, so that ``import segdistill`` loads no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"segdistill.api.{name}"), name)


def __dir__() -> list[str]:
    return __all__
