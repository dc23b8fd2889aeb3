"""Load: a trained student, read back to be used in Python."""

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
    """A trained network in evaluation mode, and what it predicts.

    Attributes:
        network: from RGB images ``(N, 3, H, W)`` in [0, 1] to ``SegOutput``, on the CPU until
            it is moved: ``student.network.to("cuda")``. That of an exported file computes in
            the file's own runtime.
        classes: names and colours, in the order of the ids.
        config: of its run, with overrides applied; None for weights by themselves.
    """

    network: nn.Module
    classes: Classes
    config: RunConfig | None = None

    def predict(self, image: str | Path | np.ndarray | Tensor | Picture) -> Prediction:
        """Return the class of each pixel of one image, at the image's own size.

        Scales, mirroring and window are those that the run was scored with.

        Args:
            image: a file, an array, a Pillow image or a tensor. Numbers are uint8, or
                floating-point in [0, 1].

        Shape:
            An array is RGB ``(H, W, 3)``, RGBA ``(H, W, 4)``, of which the colours are taken,
            or grey ``(H, W)``; a tensor is RGB ``(3, H, W)``.

        Raises:
            DataError: the file cannot be read.
            ValueError, TypeError: it is no image; what was expected is said.
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
    """Read a trained student, and its config where there is one, or an exported file.

    Example: ``segdistill.load("runs/student-1").predict("photo.jpg").overlay()``

    Args:
        run: a run folder, a safetensors file that a run wrote, an exported file, or what
            ``training.finished_run.check_run`` returned.
        overrides: ``a.b=value`` words on the run's config; the student's settings are fixed, but
            ``student.class_map`` gives its class for each of the data's.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        classes: of an exported file whose metadata do not say them.

    Raises:
        RunFolderError: there is no finished run, or overrides were given for weights by
            themselves.
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
    """Return the classes of a run's data where its student's are mapped to them, else None.

    Raises:
        DataError: the data cannot be read.
    """
    if run.class_map is None:
        return None
    return open_split(run.config.data, run.config.evaluation.split).classes


def load_exported(
    file: str | Path, *, classes: Classes | None = None, trust: Collection[str] = ()
) -> Student | None:
    """Open an exported file in its own runtime; None where this is none.

    Args:
        file: the file; its format is told by its name.
        classes: where the file's metadata do not say them.
        trust: ``file:`` targets that may run code when they are loaded.

    Raises:
        ConfigError: a package is missing, the classes are, or the file is a program that is not
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
