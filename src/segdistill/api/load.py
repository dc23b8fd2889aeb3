"""Load: a trained student for use in Python."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from segdistill.api.prediction import Prediction, segment
from segdistill.catalogue.formats import format_of
from segdistill.config import EvaluationConfig, RunConfig
from segdistill.data.files.in_memory import Picture, as_rgb
from segdistill.data.files.pixels import AS_STORED, pixels_of_config
from segdistill.data.files.reading import read_image
from segdistill.delivery.opening import open_file
from segdistill.training.build import open_split
from segdistill.training.finished_run import CheckedRun, check_run, find_run
from segdistill.training.trained_student import load_student
from segdistill.types import Classes


@dataclass(frozen=True)
class Student:
    """A trained network in evaluation mode, with its classes and settings.

    Attributes:
        network: maps RGB images ``(N, 3, H, W)`` in [0, 1] to ``SegOutput``. It is on the CPU
            until it is moved, as in ``student.network.to("cuda")``; that of an exported file
            computes in the file's own runtime.
        classes: names and colours, in the order of the ids.
        config: config of its run, with overrides applied; None without a run.
    """

    network: nn.Module
    classes: Classes
    config: RunConfig | None = None

    def predict(self, image: str | Path | np.ndarray | Tensor | Picture) -> Prediction:
        """Return the class of each pixel of one image, at the image's own size.

        Scales, mirroring and window are those with which the run was scored.

        Args:
            image: a file, an array, a Pillow image or a tensor; uint8, or floating-point in
                [0, 1].

        Shape:
            An array is RGB ``(H, W, 3)``, RGBA ``(H, W, 4)``, whose alpha is ignored, or grey
            ``(H, W)``; a tensor is RGB ``(3, H, W)``.

        Raises:
            DataError: the file cannot be read.
            ValueError, TypeError: it is not an image.
        """
        if isinstance(image, str | Path):
            how = (
                AS_STORED if self.config is None else pixels_of_config(self.config.data.settings())
            )
            rgb = read_image(Path(image), how)
        else:
            rgb = as_rgb("predict", image)
        settings = EvaluationConfig() if self.config is None else self.config.evaluation
        return Prediction(segment(self.network, rgb, settings), rgb, self.classes)


def load(
    run: str | Path | CheckedRun,
    *,
    overrides: Sequence[str] = (),
    trust: Collection[str] = (),
    classes: Classes | None = None,
) -> Student:
    """Load a trained student, with its config if there is one, or an exported file.

    Example::

        student = segdistill.load("runs/student-1")
        student.predict("photo.jpg").overlay()

    Args:
        run: a run folder, a safetensors file written by a run, an exported file, or a result of
            ``training.finished_run.check_run``.
        overrides: overrides ``a.b=value`` of the run's config; of the student only
            ``student.class_map``, its class for each class of the dataset.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        classes: classes of an exported file whose metadata do not list them.

    Raises:
        RunFolderError: there is no finished run, or there are overrides for a separate weights
            file.
        RuntimeRefusalError: the runtime of an exported file cannot read it.
        ConfigError: an override cannot be applied, or the file names code that is not trusted
            or settings that do not exist.
        CheckpointError: the weights are broken, or no run wrote them.
    """
    if not isinstance(run, CheckedRun):
        exported = load_exported(run, classes=classes, trust=trust)
        if exported is not None:
            return exported
        files = find_run(run)
        if not (files.has_config or overrides):
            return Student(*load_student(files.weights, trust=trust))
    checked = check_run(run, overrides, trust)
    student = load_student(
        checked.files.weights,
        trust=checked.trust,
        data_classes=mapped_classes(checked),
        class_map=checked.class_map,
    )
    return Student(student.network, student.classes, checked.config)


def mapped_classes(run: CheckedRun) -> Classes | None:
    """Return the classes of a run's data if the student's are mapped to them, else None.

    Raises:
        DataError: the data cannot be read.
    """
    if run.class_map is None:
        return None
    return open_split(run.config.data, run.config.evaluation.split).classes


def load_exported(
    file: str | Path, *, classes: Classes | None = None, trust: Collection[str] = ()
) -> Student | None:
    """Open an exported file in its own runtime; None if it is not one.

    Args:
        file: the file, whose name determines its format.
        classes: classes, if the file's metadata do not list them.
        trust: ``file:`` targets that may run code while they are loaded.

    Raises:
        ConfigError: a package or the classes are missing, or the file is a program that is not
            trusted.
        RunFolderError: the file's metadata are broken.
        RuntimeRefusalError: the runtime cannot read it.
    """
    path = Path(file)
    format = format_of(path)
    if format is None or path.is_dir():
        return None
    opened = open_file(path, format, classes=classes, trust=trust)
    return Student(opened.eval(), opened.contract.named)
