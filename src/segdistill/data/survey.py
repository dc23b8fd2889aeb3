"""What a folder of images and masks contains, and how it can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from segdistill.data.convert.class_files import ClassRow, find_class_file, read_class_file
from segdistill.data.convert.export import Export
from segdistill.data.convert.masks import Value, binary_rows, count_values, rows_of
from segdistill.data.convert.pairing import Match, pair_files
from segdistill.data.convert.records import check_count
from segdistill.data.convert.stored import refuse_unpaired
from segdistill.data.files.decoding import stored_size
from segdistill.data.files.reading import read_image
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX

MOST_READ = 400
"""Maximum number of masks that are read, evenly spread."""
_COMPARED = 24
_ALIKE = 0.6
_DIFFERENT = 1.0  # of 255, the mean difference of thumbnails


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        matches: images with masks.
        rows: classes, by the ids that masks store from 0, or with their colours.
        class_file: file that names them, relative to the folder, or None: named by value.
        sizes: images by ``"height×width"``, the most frequent first.
        values: pixels by stored number or colour.
        alike: mean difference between neighbouring images over that between distant ones.
        notes: what else a person should know, in sentences.
    """

    matches: tuple[Match, ...]
    rows: tuple[ClassRow, ...]
    class_file: Path | None
    sizes: Counter[str]
    values: Counter[Value]
    alike: float | None
    notes: tuple[str, ...] = field(default=())

    @property
    def is_binary(self) -> bool:
        """Whether masks store 0 for the first class and 255 for the second."""
        return [row.stored for row in self.rows] == [0, IGNORE_INDEX]

    @property
    def is_video(self) -> bool:
        """Whether neighbours look so much alike that they are frames of a video."""
        return self.alike is not None and self.alike < _ALIKE

    def share(self, value: Value) -> float:
        """Return the share of all pixels that store a value."""
        return self.values[value] / max(1, self.values.total())


def survey(export: Export) -> Survey:
    """Look at a folder of images with finished masks.

    Args:
        export: the folder.

    Raises:
        DataError: there are no such pairs, or the masks are not what ``folder`` and ``list``
            read; the command that makes them so is named.
    """
    pairing = pair_files(export.images)
    refuse_unpaired(export, pairing)
    if pairing.doubles:
        raise DataError(
            f"{export.root}: expected one image and one mask of each name, got several in "
            f"{', '.join(map(str, pairing.doubles[:4]))}; move the others elsewhere"
        )
    matches = pairing.matches
    chosen = [matches[i] for i in _spread(len(matches), MOST_READ)]
    values, notes = count_values(export, tuple(chosen))
    if len(chosen) < len(matches):
        notes.append(f"values are those of {len(chosen)} masks, evenly spread")
    file = find_class_file(export)
    if file is not None:
        rows = read_class_file(export.root / file)
    else:
        rows, _ = rows_of(values)
    if [row.stored for row in rows] == [0, 1]:
        rows, binary = binary_rows(rows, values)
        notes += binary
    _refuse_values(export, rows, values, file)
    if pairing.images_alone:
        notes.append(
            f"{len(pairing.images_alone)} images have no mask and are left out, such as "
            f"{pairing.images_alone[0]}; data.unlabelled can train on them"
        )
    if pairing.masks_alone:
        notes.append(
            f"{len(pairing.masks_alone)} masks have no image and are left out, such as "
            f"{pairing.masks_alone[0]}"
        )
    heights = [stored_size(export.root / match.image) for match in chosen]
    sizes = Counter(f"{height}×{width}" for height, width in heights)
    ordered = Counter(dict(sizes.most_common()))
    alike = _likeness(export, [match for match in matches if match.split in ("", "train")])
    return Survey(matches, tuple(rows), file, ordered, values, alike, tuple(notes))


def _refuse_values(
    export: Export, rows: Sequence[ClassRow], values: Counter[Value], file: Path | None
) -> None:
    """Refuse masks whose values are not those of the classes, or not ids from 0."""
    check_count([row.name for row in rows])
    convert = f"segdistill convert {export.root} --out NAME, then segdistill init NAME"
    if rows[0].color is not None and any(not isinstance(value, int) for value in values):
        colors = {row.color for row in rows}
        grey = [(v, v, v) if isinstance(v, int) else v for v in values]
        strange = [color for color in grey if color not in colors]
        if strange:
            raise DataError(
                f"{export.root}: expected masks of the colours in {file}, got {strange[:6]} beside "
                "them; add the classes"
            )
        return
    if [row.stored for row in rows] == [0, IGNORE_INDEX]:
        return
    numbers = {value for value in values if isinstance(value, int)} - {IGNORE_INDEX}
    if len(numbers) + (IGNORE_INDEX in values) < len(values):
        raise DataError(
            f"{export.root}: expected masks of the ids of {file}, got colours; write each class "
            "as 'name r g b', or, where these are COCO's panoptic PNG files, put their JSON beside "
            "them for segdistill convert"
        )
    strange_numbers = sorted(numbers - {row.stored for row in rows})
    if strange_numbers:
        raise DataError(
            f"{export.root}: expected masks of the {len(rows)} ids in {file}, got "
            f"{strange_numbers[:6]} beside them; "
            + (
                "where 0 has no class and 1 is the first, write a config with "
                "data.reduce_labels: true; otherwise add the class"
                if strange_numbers == [len(rows)]
                else "add the classes"
            )
        )
    if [row.stored for row in rows] != list(range(len(rows))):
        stored = ", ".join(str(row.stored) for row in rows[:8])
        raise DataError(
            f"{export.root}: expected masks of ids 0 to {len(rows) - 1} for {len(rows)} classes, "
            f"got {stored}; {convert}"
        )


def _likeness(export: Export, matches: Sequence[Match]) -> float | None:
    """Return how much less neighbours differ than distant images, or None for few images."""
    if len(matches) < _COMPARED // 2:
        return None
    places = _spread(len(matches) - 1, _COMPARED)
    half = len(matches) // 2
    near, far = [], []
    for place in places:
        here, after = (_thumbnail(export.root / matches[i].image) for i in (place, place + 1))
        distant = _thumbnail(export.root / matches[(place + half) % len(matches)].image)
        near.append(float(np.abs(here - after).mean()))
        far.append(float(np.abs(here - distant).mean()))
    # Copies of one image are no measure.
    return float(np.mean(near) / np.mean(far)) if np.mean(far) > _DIFFERENT else None


def _thumbnail(path: Path) -> np.ndarray:
    picture = Image.fromarray(read_image(path)).resize((16, 16), Image.Resampling.BOX)
    small: np.ndarray = np.asarray(picture).astype(np.float32)
    return small


def _spread(count: int, most: int) -> list[int]:
    chosen = min(count, most)
    return [place * count // chosen for place in range(chosen)]
