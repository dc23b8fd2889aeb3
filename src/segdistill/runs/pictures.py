"""Predictions that a run keeps as pictures: ``predictions/<image>_<kind>``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from segdistill.files import inside
from segdistill.runs.layout import PREDICTIONS

Kind = Literal["input", "truth", "prediction"]
_SUFFIX: dict[Kind, str] = {"input": ".jpg", "truth": ".png", "prediction": ".png"}


def picture_file(run: Path, image: str, kind: Kind) -> Path:
    """Return the file of a picture.

    Args:
        run: the run folder.
        image: name of the image, with its folders where it has some.
        kind: which picture of it.

    Raises:
        ValueError: the name leads out of the folder.
    """
    return inside(inside(run, PREDICTIONS), f"{image}_{kind}{_SUFFIX[kind]}")


def find_pictures(run: Path) -> dict[str, dict[Kind, Path]]:
    """Return the pictures of a run by image and kind; input and prediction are always there."""
    folder = run / PREDICTIONS
    found: dict[str, dict[Kind, Path]] = {}
    for file in sorted(folder.rglob("*_*.*")):  # images of Cityscapes are in folders of cities
        image, _, word = file.relative_to(folder).with_suffix("").as_posix().rpartition("_")
        for kind in _SUFFIX:
            if kind == word and file.is_file():
                found.setdefault(image, {})[kind] = file
    return {image: files for image, files in found.items() if {"input", "prediction"} <= set(files)}
