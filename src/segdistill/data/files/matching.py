"""Files of folders: found below one, paired by name, refused by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from segdistill.data.files.pairing import near_matches, other_files
from segdistill.data.files.reading import IMAGE_SUFFIXES
from segdistill.data.files.scanning import visible_entries
from segdistill.data.pack.manifest import is_packed
from segdistill.errors import DataError, LayoutError

_MOST_LISTED = 10


class Pair(NamedTuple):
    """One image and its mask, relative to the dataset's root.

    Attributes:
        name: unique within the split.
        image: path of the image.
        mask: path of the mask, or None if the split has none.
    """

    name: str
    image: str
    mask: str | None


def match_names(
    root: Path,
    images: str,
    masks: str,
    *,
    image_suffix: str = "",
    mask_suffix: str = "",
    settable: bool = False,
) -> list[Pair]:
    """Pair the images of one folder with the masks of another by file name.

    Sub-folders are searched too; extensions may differ, also in case. Files whose names
    do not end in the suffix are ignored.

    Args:
        root: folder of both.
        images: folder of the images, relative to the root.
        masks: folder of the masks, relative to the root.
        image_suffix: what images' file names end in before the extension; left out of the name.
        mask_suffix: what masks' file names end in before the extension; left out of the name.
        settable: whether a config can set the two suffixes, for messages.

    Returns:
        Pairs in the order of their names.

    Raises:
        DataError: a folder is missing, an image has no mask, a mask no image, or two files
            have one name; the first ten are named, with what their names have in common.
    """
    images_by_name = files_by_name(root, images, image_suffix)
    masks_by_name = files_by_name(root, masks, mask_suffix)
    without_mask = {n: f for n, f in images_by_name.items() if n not in masks_by_name}
    without_image = {n: f for n, f in masks_by_name.items() if n not in images_by_name}
    if without_mask and not masks_by_name:
        # All masks were passed over: compare with their whole names.
        without_image = files_by_name(root, masks)
    near = near_matches(without_mask, without_image, settable=settable)
    unread = other_files(root / masks) if without_mask else ""
    if unread:
        near = "; ".join(filter(None, [near, f"in {masks}/ are {unread}, which are not read"]))
    files = [str(root / file) for file in without_mask.values()]
    refuse_files(root / images, f"a mask in {masks}/ for every image", files, "have none", near)
    files = [str(root / file) for file in without_image.values()]
    refuse_files(root / masks, f"an image in {images}/ for every mask", files, "have none", near)
    return [Pair(name, file, masks_by_name[name]) for name, file in sorted(images_by_name.items())]


def files_by_name(root: Path, folder: str, suffix: str = "") -> dict[str, str]:
    """Find the image files below a folder.

    Args:
        root: folder to which the returned paths are relative.
        folder: where to search, relative to the root.
        suffix: what file names have to end in before the extension; others are ignored.

    Returns:
        Name (path below the folder, without suffix and extension) to path, sorted.

    Raises:
        DataError: there is no such folder, two files have one name, or the folder contains files
            of other kinds alone.
    """
    if not (root / folder).is_dir():
        raise DataError(
            f"{root / folder}: expected a folder, got nothing; check data.root and the split"
        )
    files: dict[str, str] = {}
    repeated = []
    paths = sorted(_images_below(root / folder))
    for file in paths:
        if not file.stem.endswith(suffix):
            continue
        name = file.relative_to(root / folder).with_suffix("").as_posix().removesuffix(suffix)
        if name in files:
            repeated.append(str(file))
        files[name] = file.relative_to(root).as_posix()
    refuse_files(root / folder, "one file per name", repeated, "repeat a name")
    unread = "" if paths else other_files(root / folder)
    if unread:
        raise DataError(
            f"{root / folder}: expected image files, got {unread}, which are not read; convert "
            "them to PNG"
        )
    return files


def _images_below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Find image files; links to folders are followed, which ``Path.rglob`` does not."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in visible_entries(folder):
        path = folder / entry.name
        below = list(_images_below(path, above | {real})) if entry.is_dir() else []
        yield from below
        # A folder named like an image, without images in it, is refused when it is read.
        if not below and path.suffix.lower() in IMAGE_SUFFIXES:
            yield path


def find_layout(
    who: str, root: Path, *layouts: tuple[str, ...], key: str = "root"
) -> tuple[str, ...]:
    """Return the first layout whose folders and files are all below the root.

    Args:
        who: name of the dataset, the first word of the message.
        root: what the user gave.
        layouts: paths relative to the root that go together.
        key: setting under ``data`` that gives the root.

    Raises:
        DataError: the one given is a level too high or too deep, also for a packed copy; the
            message names the right one.
        LayoutError: none of them is.
    """
    for layout in layouts:
        if all((root / part).exists() for part in layout):
            return layout
    near = [root.parent, *sorted(path for path in root.glob("*") if path.is_dir())]
    fits = [
        folder
        for folder in near
        for layout in layouts
        if all((folder / part).exists() for part in layout)
    ]
    better = next(iter([*fits, *filter(is_packed, near)]), None)
    expected = ", or ".join(" and ".join(layout) for layout in layouts)
    sentence = f"{who}: expected {expected} in {root}, got none"
    if better:
        raise DataError(f"{sentence}; give data.{key}={better}")
    raise LayoutError(f"{sentence}; check data.{key} and the split")


def refuse_files(
    where: Path, expected: str, files: Sequence[str], fault: str, advice: str = ""
) -> None:
    """Raise a DataError that names the first of ``files``, or return if there are none."""
    if files:
        listed = "".join(f"\n  {file}" for file in files[:_MOST_LISTED])
        more = len(files) - _MOST_LISTED
        listed += f"\n  and {more} more" if more > 0 else ""
        raise DataError(
            f"{where}: expected {expected}, got {len(files)} that {fault}; "
            f"{advice or 'add or remove them'}:{listed}"
        )
