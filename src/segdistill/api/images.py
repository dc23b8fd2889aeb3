"""Images to predict on: those of a split, named files, and files found in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from glob import glob
from pathlib import Path

import numpy as np

from segdistill.data.files.pixels import Pixels
from segdistill.data.files.reading import IMAGE_SUFFIXES, read_image
from segdistill.data.parts import files_of, name_of
from segdistill.errors import DataError, OverwriteError
from segdistill.files import real_path
from segdistill.training.events import Note, Tell
from segdistill.types import SegDataset

_NAMED = 5


@dataclass(frozen=True)
class Input:
    """An image to predict on.

    Attributes:
        name: name of its prediction, which may include folders.
        files: files it is read from; empty if it has none of its own.
        read: function that returns the image.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], np.ndarray]

    @property
    def label(self) -> str:
        """Its name in messages."""
        return str(self.files[0]) if self.files else self.name


def images_of_split(dataset: SegDataset) -> list[Input]:
    """Return the images of a split."""
    return [
        Input(
            name_of(dataset, index),
            tuple(files_of(dataset, index)),
            partial(_image_of, dataset, index),
        )
        for index in range(len(dataset))
    ]


def _image_of(dataset: SegDataset, index: int) -> np.ndarray:
    return dataset[index].image


def find_images(sources: Sequence[Path], recursive: bool, tell: Tell, how: Pixels) -> list[Input]:
    """Return the images among files and folders, without repetition.

    Args:
        sources: image files, or folders of them.
        recursive: also search subfolders.
        tell: called with what is left out of a folder.
        how: range of values of more than 8 bits, and the bands to read.

    Raises:
        DataError: a source is missing, or there are no images.
    """
    images: dict[tuple[str, str], Input] = {}
    for source in sources:
        if not source.exists():
            raise DataError(f"predict: expected an image or a folder at {source}, got none")
        folder = source if source.is_dir() else source.parent
        for file in _search(source, recursive, tell) if source.is_dir() else [source]:
            name = file.relative_to(folder).with_suffix("").as_posix()
            # A file that is named and also found in a folder counts once.
            images[name, os.path.abspath(file)] = Input(
                name, (file,), partial(read_image, file, how)
            )
    if not images:
        raise DataError(
            f"predict: expected images, got none in {', '.join(map(str, sources))}; "
            "--recursive searches subfolders too"
        )
    return list(images.values())


def expand(sources: Sequence[Path]) -> Iterator[Path]:
    """Yield files and folders, with patterns such as ``photos/*.jpg`` replaced by their matches."""
    for source in sources:
        fitting = [] if source.exists() else sorted(map(Path, glob(str(source), recursive=True)))
        yield from fitting or [source]


def _search(
    folder: Path, recursive: bool, tell: Tell, above: frozenset[str] = frozenset()
) -> list[Path]:
    """Return the image files of a folder, and report what is left out."""
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that contains it
        return []
    folders, images, others = list[Path](), list[Path](), list[Path]()
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            group = folders
        else:
            group = images if entry.suffix.lower() in IMAGE_SUFFIXES else others
        if not entry.name.startswith("."):
            group.append(entry)
    if others:
        tell(Note(f"{folder}: files without an image suffix are left out: {_some(others)}"))
    if recursive:
        for inner in folders:
            images += _search(inner, recursive, tell, above | {real})
    elif folders:
        tell(Note(f"{folder}: subfolders are only searched with --recursive: {_some(folders)}"))
    return images


def _some(entries: Sequence[Path]) -> str:
    names = ", ".join(entry.name for entry in entries[:_NAMED])
    return f"{names} and {len(entries) - _NAMED} more" if len(entries) > _NAMED else names


def refuse_mixing(out: Path, sources: Collection[Path], recursive: bool) -> None:
    """Refuse to write predictions among images, where a later call would take them for images.

    Args:
        out: folder of the predictions.
        sources: folders of the images.
        recursive: whether their subfolders are searched too.

    Raises:
        OverwriteError: the folder is among the sources; it is named.
    """
    target = real_path(out)
    above = [folder for folder in (target, *target.parents) if folder.exists()]
    searched = above if recursive else [folder for folder in above if folder == target]
    for source in sources:
        if any(folder.samefile(source) for folder in searched):
            raise OverwriteError(
                f"predict: expected a separate folder for predictions, got {out} among the images "
                f"of {source}; choose another --out"
            )
