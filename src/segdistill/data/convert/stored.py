"""Exports with finished masks: stored values become ids from 0 without gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segdistill.data.convert.class_files import ClassRow
from segdistill.data.convert.colored import ColoredCode
from segdistill.data.convert.export import Export
from segdistill.data.convert.pairing import Pairing
from segdistill.data.convert.records import VOID, Drawn, Record, Size, Source, order_classes
from segdistill.data.files.labels import ColorCode, IdCode, LabelCode
from segdistill.data.files.masks import read_mask
from segdistill.data.files.pairing import other_files
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes


def from_pairs(
    export: Export,
    pairing: Pairing,
    rows: Sequence[ClassRow],
    background: str | None,
    *,
    notes: Sequence[str] = (),
) -> Source:
    """Return images with finished masks as a source.

    Args:
        export: the folder.
        pairing: of its files.
        rows: what masks store.
        background: class of pixels that the masks give none.
        notes: more to say.

    Raises:
        DataError: no image has a mask, or the classes cannot be used.
    """
    refuse_unpaired(export, pairing)
    classes, code = decoder(rows, background)
    records = [
        Record(
            match.name,
            match.split,
            export.root / match.image,
            draw_stored(export.root / match.mask, code),
            str(match.mask),
        )
        for match in pairing.matches
    ]
    broken = [f"{export.root / file}: an image without a mask" for file in pairing.images_alone]
    broken += [f"{export.root / file}: a mask without an image" for file in pairing.masks_alone]
    broken += [
        f"{export.root / file}: several files for one image or mask" for file in pairing.doubles
    ]
    ignored = [row.name for row in rows if row.name.lower() in VOID]
    remarks = [f"{', '.join(ignored)}: no class, becomes 255"] if ignored else []
    return Source(classes, records, broken, [*notes, *remarks])


def refuse_unpaired(export: Export, pairing: Pairing) -> None:
    """Refuse files of which no image has a mask.

    Raises:
        DataError: says what is there instead.
    """
    if pairing.matches:
        return
    images, masks = pairing.images_alone, pairing.masks_alone
    if pairing.doubles:
        got = f"several files for one name, such as {', '.join(map(str, pairing.doubles[:4]))}"
    elif images or masks:
        first = (*masks, *images)[0]
        got = f"{len(images)} images and {len(masks)} masks of which none match, such as {first}"
        unread = other_files(export.root)
        got += f", beside {unread}, which are not read: convert them to PNG" if unread else ""
    else:
        suffixes = sorted({file.suffix or file.name for file in export.files})
        got = f"no image but {', '.join(suffixes[:6])}" if suffixes else "nothing"
    raise DataError(
        f"{export.root}: expected images and masks with matching names, got {got}; put them into "
        "images/ and masks/"
    )


def decoder(rows: Sequence[ClassRow], background: str | None) -> tuple[Classes, LabelCode]:
    """Return the classes to write, and the code from what masks store to their ids.

    Args:
        rows: what masks store: all have a colour, or none has.
        background: class of 255 and of the rows that mean no class.

    Raises:
        DataError: some rows have a colour and others not, two share a value, or
            :func:`~segdistill.data.convert.records.order_classes` refuses the names.
    """
    colors = {row.name: row.color for row in rows if row.color is not None}
    if colors and len(colors) < len({row.name for row in rows}):
        raise DataError("convert: expected a colour for each class or for none; correct the file")
    palette = order_classes([row.name for row in rows], background, colors)
    # Finished masks say 255 on purpose: a class that is called background does not take it.
    without = IGNORE_INDEX if background is None else palette.unlabelled
    ids = {name: without if i == IGNORE_INDEX else i for name, i in palette.ids.items()}
    numbers = {row.stored: ids[row.name] for row in rows}
    by_color = {row.color: ids[row.name] for row in rows if row.color is not None}
    if len(numbers) < len(rows) or (by_color and len(by_color) < len(rows)):
        raise DataError("convert: expected a different value for each class, got one twice")
    code = IdCode({IGNORE_INDEX: without, **numbers})
    return palette.classes, ColoredCode(ColorCode(by_color), code) if by_color else code


def draw_stored(mask: Path, code: LabelCode) -> Callable[[Size], Drawn]:
    """Return what reads one mask when it is asked for."""

    def draw(size: Size) -> Drawn:
        ids = code.decode(read_mask(mask), mask)
        return Drawn(ids, {"pixels without a class": int(np.count_nonzero(ids == IGNORE_INDEX))})

    return draw
