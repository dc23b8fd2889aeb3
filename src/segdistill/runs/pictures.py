"""Pictures of a run's predictions: ``predictions/<image>_<kind>``."""

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
        image: name of the image, including its folders.
        kind: kind of picture.

    Raises:
        ValueError: the name leads out of the folder.
    """
    return inside(inside(run, PREDICTIONS), f"{image}_{kind}{_SUFFIX[kind]}")


def find_pictures(run: Path) -> dict[str, dict[Kind, Path]]:
    """Return the pictures of a run by image and kind, each with at least input and prediction."""
    folder = run / PREDICTIONS
    pictures: dict[str, dict[Kind, Path]] = {}
    for file in sorted(folder.rglob("*_*.*")):  # Cityscapes has a folder per city
        image, _, word = file.relative_to(folder).with_suffix("").as_posix().rpartition("_")
        for kind in _SUFFIX:
            if kind == word and file.is_file():
                pictures.setdefault(image, {})[kind] = file
    complete = {"input", "prediction"}
    return {image: files for image, files in pictures.items() if complete <= files.keys()}
