"""A plain folder: images/ and masks/ with matching names, and a file of class names."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files.colored import ColoredCode
from segdistill.data.files.dataset import FileDataset, find_layout, match_names
from segdistill.data.files.labels import MAX_CLASSES, ColorCode, LabelCode, plain_ids
from segdistill.data.files.palettes import distinct_colors
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes


def folder(
    *,
    split: str,
    root: Path,
    classes: str = "classes.txt",
    images: str = "images",
    masks: str = "masks",
) -> FileDataset:
    """Read one split of your own data.

    The split is ``train/images`` with ``train/masks``, or ``images/train`` with
    ``masks/train``. An image and its mask have the same name; extensions may differ. Masks
    store class ids (0 is the first line of ``classes.txt``, 255 is no class), or, where
    ``classes.txt`` gives colours, those colours; the colours of a palette file are looked up.

    Args:
        split: name of the split's folder.
        root: folder that holds the splits.
        classes: file with one class a line, ``name`` or ``name 255 128 0``; a line whose
            name is ``ignore`` gives the colour of pixels without a class; lines that start
            with ``#`` are comments.
        images: name of the folders of images.
        masks: name of the folders of masks.

    Returns:
        The split.

    Raises:
        DataError: the folders, ``classes.txt`` or files are missing or do not match.
    """
    root = Path(root)
    nested = (f"{split}/{images}", f"{split}/{masks}")
    flat = (f"{images}/{split}", f"{masks}/{split}")
    image_folder, mask_folder = find_layout("folder", root, nested, flat)
    names, code = read_classes(root / classes)
    return FileDataset(root, match_names(root, image_folder, mask_folder), names, code)


def read_classes(file: Path) -> tuple[Classes, LabelCode]:
    """Read class names, and colours where they are given.

    Args:
        file: one class a line: a name (spaces allowed), then nothing or three numbers.

    Returns:
        The classes, and what their masks store: ids, or colours where every line has one.

    Raises:
        DataError: the file is missing or empty, a name repeats, or some lines have colours
            and others not.
    """
    if not file.is_file():
        raise DataError(
            f"{file}: expected a file with one class name a line, got nothing; write it"
        )
    lines = [line for line in read_text(file).splitlines() if not line.lstrip().startswith("#")]
    rows = [_split_line(line) for line in lines]
    rows = [row for row in rows if row[0]]
    kept = [row for row in rows if row[0] != "ignore"]
    names = tuple(name for name, _ in kept)
    if not 0 < len(names) <= MAX_CLASSES:
        raise DataError(f"{file}: expected 1 to {MAX_CLASSES} classes, got {len(names)}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{file}: expected each class once, got {', '.join(repeated)} twice")
    given = [color for _, color in rows]
    if ("ignore", None) in rows:
        # Left out, it would move the ids of all classes below it.
        raise DataError(
            f"{file}: expected a colour for ignore, got none; in masks of ids 255 has no class: "
            "take the line out, or give the class another name"
        )
    if all(color is None for color in given):
        return Classes(names, distinct_colors(len(names))), plain_ids(len(names))
    colors = tuple(color for color in given if color is not None)
    if len(colors) < len(given) or len(set(colors)) < len(colors):
        raise DataError(f"{file}: expected a different colour for each class or for none")
    trains = iter(range(len(names)))
    code = {c: IGNORE_INDEX if n == "ignore" else next(trains) for n, c in rows if c is not None}
    by_color = ColorCode(code)
    # With a colour for ignore, ids could count it or not: such masks have to be colours.
    either = ColoredCode(by_color, plain_ids(len(names))) if len(kept) == len(rows) else by_color
    return Classes(names, tuple(c for _, c in kept if c is not None)), either


def _split_line(line: str) -> tuple[str, tuple[int, int, int] | None]:
    words = line.replace(",", " ").split()
    if len(words) > 3 and all(word.isdigit() and int(word) < 256 for word in words[-3:]):
        red, green, blue = map(int, words[-3:])
        return " ".join(words[:-3]), (red, green, blue)
    return " ".join(words), None
