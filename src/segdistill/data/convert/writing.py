"""Records as a plain folder that ``dataset: folder`` reads."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segdistill.data.convert.records import UNEXPECTED, Record, Source
from segdistill.data.convert.splits import propose_splits
from segdistill.data.files.dataset import check_same_size
from segdistill.data.files.decoding import open_picture
from segdistill.data.files.reading import image_from_bytes
from segdistill.data.pictures import write_picture
from segdistill.errors import DataError
from segdistill.files import check_ends, claim_tree, inside, write_whole
from segdistill.types import IGNORE_INDEX, Classes

CLASSES = "classes.txt"


@dataclass
class Written:
    """What was written, and what could not be.

    Attributes:
        classes: names and colours.
        images: number of images by split.
        pixels: pixels by class, over all splits.
        ignored_pixels: pixels without a class.
        counts: what had to be decided, how often.
        broken: what could not be written, each with file and reason.
        notes: what was decided about all of it, in sentences.
    """

    classes: Classes
    images: Counter[str] = field(default_factory=Counter)
    pixels: dict[str, int] = field(default_factory=dict)
    ignored_pixels: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain dicts, lists and numbers."""
        names, colors = self.classes.names, self.classes.colors
        return {
            "classes": dict(zip(names, map(list, colors), strict=True)),
            "images": dict(self.images),
            "pixels": self.pixels,
            "ignored_pixels": self.ignored_pixels,
            "unused": self.unused,
            "counts": dict(self.counts),
            "broken": self.broken,
            "notes": self.notes,
        }

    @property
    def only_class(self) -> str:
        """The one class that has pixels, if there is but one and nothing else."""
        used = [name for name, count in self.pixels.items() if count]
        return used[0] if len(used) == 1 else ""

    @property
    def unused(self) -> list[str]:
        """Classes without a pixel."""
        return [name for name, count in self.pixels.items() if count == 0]


def write_source(
    source: Source, out: Path, *, progress: Callable[[int, int], None] | None = None
) -> Written:
    """Write an export as ``images/<split>``, ``masks/<split>`` and ``classes.txt``.

    Images are copied as they are; masks are palette PNG files of ids in the colours of the
    classes. A record that cannot be written is noted and the rest goes on. Files of an earlier
    conversion into the same folder that this one does not write are removed.

    Args:
        source: the export.
        out: folder, new or one that convert made.
        progress: called with records done and in all.

    Raises:
        OverwriteError: the folder contains a file that convert did not write, or that was changed.
        DataError: there is nothing to write.
    """
    if not source.records:
        first = f": {source.broken[0]}" if source.broken else ""
        raise DataError(f"convert: expected at least one image with a mask, got none{first}")
    earlier = set(claim_tree("convert", out))
    written = Written(source.classes, broken=list(source.broken), notes=list(source.notes))
    splits = _splits(source.records, written.notes)
    labels = np.zeros(256, dtype=np.int64)
    made, taken = set[Path](), dict[str, str]()
    for done, (record, split) in enumerate(zip(source.records, splits, strict=True), start=1):
        try:
            files, ids = _write_record(record, split, out, source.classes, taken, written.counts)
        except (DataError, OSError, *UNEXPECTED) as error:
            written.broken.append(_reason(record, error))
        else:
            made.update(files)
            labels += np.bincount(ids.ravel(), minlength=256)
            written.images[split] += 1
        if progress is not None:
            progress(done, len(source.records))
    if made:
        write_whole(out / CLASSES, _class_lines(source.classes), made_by="convert")
        made.add(out / CLASSES)
    for file in earlier - made:
        file.unlink()
    written.pixels = {name: int(labels[i]) for i, name in enumerate(source.classes.names)}
    written.ignored_pixels = int(labels[IGNORE_INDEX])
    return written


def _reason(record: Record, error: Exception) -> str:
    """Return why a record could not be written, with its file in front."""
    expected = isinstance(error, DataError | ValueError)
    reason = str(error) if expected else f"expected valid content ({type(error).__name__}: {error})"
    named = record.source in reason or str(record.image) in reason
    return reason if named else f"{record.source}: {reason}"


def _splits(records: Iterable[Record], notes: list[str]) -> list[str]:
    """Return a split for each record: its own, or a proposal where none has one."""
    splits = [record.split for record in records]
    if any(splits):
        rest = splits.count("")
        notes += [f"{rest} images without a split go to train"] if rest else []
        return [split or "train" for split in splits]
    proposed, how = propose_splits([record.name for record in records])
    notes.append(how)
    return proposed


def _write_record(
    record: Record,
    split: str,
    out: Path,
    classes: Classes,
    taken: dict[str, str],
    counts: Counter[str],
) -> tuple[tuple[Path, Path], np.ndarray]:
    if isinstance(record.image, Path):
        check_ends(record.image)
        content, label = record.image.read_bytes(), record.image
    else:
        content, label = record.image(), Path(record.source)
    data = np.array(np.frombuffer(content, dtype=np.uint8))
    image = image_from_bytes(data, label)
    size = image.shape[0], image.shape[1]
    ids, decided = record.draw(size)
    check_same_size(label, size, Path(record.source), (ids.shape[0], ids.shape[1]))
    suffix = label.suffix.lower() if isinstance(record.image, Path) else _suffix(label, data)
    files = (
        inside(out / "images" / split, record.name + suffix),
        inside(out / "masks" / split, record.name + ".png"),
    )
    # Names that differ in case or Unicode form alone are one name on some systems.
    key = unicodedata.normalize("NFC", str(files[1])).casefold()
    if taken.setdefault(key, record.source) != record.source:
        raise DataError(
            f"{record.source}: expected a unique name, got {split}/{record.name}, which "
            f"{taken[key]} has; rename one of them"
        )
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(files[0], content, made_by="convert")
    picture = Image.fromarray(ids, "P")
    table = np.full((256, 3), 255, dtype=np.uint8)
    table[: len(classes)] = classes.colors
    picture.putpalette(table.tobytes())
    write_picture(files[1], picture, made_by="convert")
    counts.update({what: count for what, count in decided.items() if count})
    return files, ids


def _suffix(label: Path, data: np.ndarray) -> str:
    with open_picture(label, data) as picture:
        kind = (picture.format or "png").lower()
    return ".jpg" if kind in ("jpeg", "mpo") else f".{kind}"


def _class_lines(classes: Classes) -> str:
    rows = enumerate(zip(classes.names, classes.colors, strict=True))
    return "".join(f"{number} {name} {r} {g} {b}\n" for number, (name, (r, g, b)) in rows)
