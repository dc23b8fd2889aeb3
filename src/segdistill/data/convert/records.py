"""What every format is brought to: records of an image and how its mask is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segdistill.data.files.labels import MAX_CLASSES
from segdistill.data.files.palettes import Color, distinct_colors
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

Size = tuple[int, int]
"""Height and width."""

VOID = frozenset({"void", "ignore", "__ignore__", "_ignore_", "unlabeled", "unlabelled"})
"""Names, in lower case, that mark pixels without a class."""

BACKGROUNDS = frozenset({"background", "_background_", "__background__", "bg"})
"""Names, in lower case, of a class for everything that is not outlined."""


class Drawn(NamedTuple):
    """One mask, and what had to be decided to make it.

    Attributes:
        ids: uint8 ``(H, W)`` of the classes written, 255 if there is none.
        counts: how often, by what it was.
    """

    ids: np.ndarray
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Record:
    """One image of an export.

    Attributes:
        name: path below the folder of its split, without extension.
        split: as the export has it, empty if it has none.
        image: the file, or what returns a file's content.
        draw: makes the mask; given the size of the upright image.
        source: what messages call it.
    """

    name: str
    split: str
    image: Path | Callable[[], bytes]
    draw: Callable[[Size], Drawn]
    source: str


@dataclass(frozen=True)
class Source:
    """An export, opened.

    Attributes:
        classes: in the order of the ids that records draw.
        records: its images.
        broken: what could not be made a record, each with its file and reason.
        notes: what was decided about all of it, in sentences.
    """

    classes: Classes
    records: Sequence[Record]
    broken: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Palette:
    """The classes to write, and which id an annotation's name has.

    Attributes:
        classes: in the order of their ids.
        ids: id by the name that annotations use; 255 for names that mean no class.
        unlabelled: id of pixels that no annotation covers.
    """

    classes: Classes
    ids: Mapping[str, int]
    unlabelled: int

    def note(self) -> str:
        """Return what becomes of pixels that no annotation covers, as a sentence."""
        if self.unlabelled == IGNORE_INDEX:
            return "unlabelled pixels become 255 (ignored); --background NAME makes a class"
        return f"unlabelled pixels become {self.classes.names[self.unlabelled]}"


UNEXPECTED = (KeyError, TypeError, AttributeError, IndexError, ValueError)
"""Errors that reading well-formed JSON with an unexpected structure raises."""


def order_classes(
    names: Sequence[str],
    background: str | None,
    colors: Mapping[str, Color] | None = None,
) -> Palette:
    """Decide ids and colours of the classes that annotations name.

    Names that mean no class get 255. The background, where one is stated or among the names,
    is what unlabelled pixels become.

    Args:
        names: as annotations have them, in the order of ids to be.
        background: name of the class of unlabelled pixels; made if the names lack it.
        colors: by name, where the export has some.

    Raises:
        DataError: there are no classes, too many, or one alone.
    """
    unique = list(dict.fromkeys(names))
    kept = [name for name in unique if name.lower() not in VOID]
    if background is None:
        background = next((name for name in kept if name.lower() in BACKGROUNDS), None)
    elif background not in kept:
        kept.insert(0, background)
    check_count(kept)
    known = colors or {}
    made = iter(distinct_colors(len(kept) + len(known)))
    taken = set(known.values())
    shown = [known.get(name) or next(c for c in made if c not in taken) for name in kept]
    ids = {name: kept.index(name) if name in kept else IGNORE_INDEX for name in unique}
    unlabelled = IGNORE_INDEX if background is None else kept.index(background)
    return Palette(Classes(tuple(map(_plain, kept)), tuple(shown)), ids, unlabelled)


def _plain(name: str) -> str:
    """Return a name that fits into a line of ``classes.txt``."""
    return " ".join(name.replace(",", " ").split()).lstrip("# ") or "unnamed"


def check_count(names: Sequence[str]) -> None:
    """Refuse classes that no network can be trained to tell apart.

    Raises:
        DataError: there are none, one alone, or too many.
    """
    if len(names) == 1:
        raise DataError(
            f"convert: expected at least two classes, got {names[0]} alone, which every network "
            "predicts everywhere; --background NAME makes a class of all other pixels"
        )
    if not 0 < len(names) <= MAX_CLASSES:
        raise DataError(f"convert: expected 2 to {MAX_CLASSES} classes, got {len(names)}")


def check_stated(size: Size, height: object, width: object) -> None:
    """Refuse an annotation that was made on an image of another size.

    Args:
        size: of the upright image.
        height: as the annotation has it; None if it does not say.
        width: as the annotation has it.

    Raises:
        DataError: they differ.
    """
    if (height, width) not in ((None, None), size):
        raise DataError(
            f"expected an annotation of the image's size {size[1]}×{size[0]}, got "
            f"{width}×{height}; was the image resized since, or turned by its EXIF note?"
        )


class Canvas:
    """A mask that is painted region over region, the last on top.

    Args:
        size: height and width.
        unlabelled: id of pixels that are never painted.
    """

    def __init__(self, size: Size, unlabelled: int) -> None:
        self._ids = np.full(size, unlabelled, dtype=np.uint8)
        self._painted = np.zeros(size, dtype=bool)
        self.counts: Counter[str] = Counter()

    def paint(self, region: np.ndarray, train: int) -> None:
        """Paint one region.

        Args:
            region: bool ``(H, W)``.
            train: id of its class, 255 for none.
        """
        covered = int(np.count_nonzero(self._painted & region & (self._ids != train)))
        self.counts["pixels where regions of different classes overlap"] += covered
        self._ids[region] = train
        self._painted |= region

    def drawn(self) -> Drawn:
        """Return the mask."""
        unpainted = int(self._painted.size - np.count_nonzero(self._painted))
        counts = {**self.counts, "unlabelled pixels": unpainted}
        return Drawn(self._ids, counts)
