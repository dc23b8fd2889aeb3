"""A dataset of image and mask files, and how such files are found: what every layout uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segdistill.data.files.labels import LabelCode
from segdistill.data.files.pairing import near_matches, other_files
from segdistill.data.files.partial import Rows, read_image_top, read_mask_top
from segdistill.data.files.pixels import AS_STORED, Pixels
from segdistill.data.files.reading import IMAGE_SUFFIXES, read_image, read_mask, stored_size
from segdistill.data.pack.manifest import is_packed
from segdistill.errors import DataError, LayoutError
from segdistill.types import Classes, Sample

_MOST_LISTED = 10


class Pair(NamedTuple):
    """One image and its mask, relative to the dataset's root.

    Attributes:
        name: unique within the split.
        image: path of the image.
        mask: path of the mask, or None where the split has none.
    """

    name: str
    image: str
    mask: str | None


class FileDataset:
    """Images and masks that are read from their files when asked for.

    Args:
        root: folder to which the pairs' paths are relative.
        pairs: images and masks, in order.
        classes: names and colours of the train ids.
        code: turns the values of mask files into train ids.

    Raises:
        DataError: there are no pairs, or files are missing; the first ten are named.
    """

    def __init__(
        self, root: Path, pairs: Sequence[Pair], classes: Classes, code: LabelCode
    ) -> None:
        self.root = Path(root)
        # Strings, not Path objects: a list of 20 000 pairs stays a few MB in each worker.
        self.pairs = tuple(pairs)
        self._classes = classes
        self._code = code
        self._pixels = AS_STORED
        if not self.pairs:
            raise DataError(f"{self.root}: expected at least one image, got an empty split")
        missing = [
            str(self.root / file)
            for pair in self.pairs
            for file in (pair.image, pair.mask)
            if file is not None and not (self.root / file).exists()
        ]
        refuse_files(self.root, "files that exist", missing, "are missing")

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self._classes

    @property
    def code(self) -> LabelCode:
        """What the values of mask files mean."""
        return self._code

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def pixels(self) -> Pixels:
        """How the stored numbers of images become RGB."""
        return self._pixels

    def read_as(self, how: Pixels, classes: Classes, code: LabelCode) -> None:
        """Give the stored numbers of images and masks another meaning, before any is read."""
        self._pixels, self._classes, self._code = how, classes, code

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its mask.

        Raises:
            DataError: a file is missing or broken, the sizes differ, or the mask holds a
                value that is no class.
        """
        return self._read(index, None)[0]

    def read_top(self, index: int, rows: Rows) -> tuple[Sample, tuple[int, int]]:
        """Read at least the top rows of one image and its mask.

        Args:
            index: which pair.
            rows: how many rows are needed, given the image's height and width.

        Returns:
            The sample, of which rows below may be missing, and the image's height and width.

        Raises:
            DataError: as for indexing.
        """
        return self._read(index, rows)

    def read_below_mask(
        self, index: int, rows: Callable[[np.ndarray], int]
    ) -> tuple[Sample, tuple[int, int]]:
        """Read a whole mask, and as many top rows of its image as the mask decides.

        Args:
            index: which pair; it has a mask.
            rows: how many rows of the image are needed, given the mask.

        Returns:
            The sample, with the whole mask, and the image's height and width.

        Raises:
            DataError: as for indexing.
        """
        pair = self.pairs[index]
        mask = self.read_mask(index)
        if mask is None:
            raise DataError(f"{self.root / pair.image}: expected a mask, got none")
        path = self.root / pair.image
        top = self._image_top(path, lambda _: rows(mask))
        image, size = top or _whole(read_image(path, self._pixels))
        check_same_size(path, size, self.root / str(pair.mask), _whole(mask)[1])
        return Sample(image, mask, pair.name), size

    def read_mask(self, index: int) -> np.ndarray | None:
        """Read one mask without its image, or return None where there is none.

        Raises:
            DataError: it is missing or broken, or holds a value that is no class.
        """
        mask = self.pairs[index].mask
        return None if mask is None else self._code.decode(self._stored(mask), self.root / mask)

    def _stored(self, mask: str) -> np.ndarray:
        return read_mask(self.root / mask, colors=self._code.looks_up_colors)

    def _image_top(self, path: Path, rows: Rows) -> tuple[np.ndarray, tuple[int, int]] | None:
        return read_image_top(path, rows) if self._pixels == AS_STORED else None

    def _read(self, index: int, rows: Rows | None) -> tuple[Sample, tuple[int, int]]:
        pair = self.pairs[index]
        path = self.root / pair.image
        # A whole file is read with all its checksums, so that an inspection sees every fault.
        top = self._image_top(path, rows) if rows else None
        image, size = top or _whole(read_image(path, self._pixels))
        if pair.mask is None:
            return Sample(image, None, pair.name), size
        mask_path = self.root / pair.mask
        top = read_mask_top(mask_path, rows) if rows and not self._code.looks_up_colors else None
        stored, mask_size = top or _whole(self._stored(pair.mask))
        mask = self._code.decode(stored, mask_path)
        check_same_size(path, size, mask_path, mask_size)
        height = min(len(image), len(mask))
        return Sample(image[:height], mask[:height], pair.name), size


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
        DataError: there is no such folder, two files have one name, or the folder holds files
            of other kinds alone.
    """
    if not (root / folder).is_dir():
        raise DataError(
            f"{root / folder}: expected a folder, got nothing; check data.root and the split"
        )
    files: dict[str, str] = {}
    repeated = []
    found = sorted(_images_below(root / folder))
    for file in found:
        if not file.stem.endswith(suffix):
            continue
        name = file.relative_to(root / folder).with_suffix("").as_posix().removesuffix(suffix)
        if name in files:
            repeated.append(str(file))
        files[name] = file.relative_to(root).as_posix()
    refuse_files(root / folder, "one file per name", repeated, "repeat a name")
    unread = "" if found else other_files(root / folder)
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
    try:
        with os.scandir(folder) as scan:
            inside = [entry for entry in scan if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder that can be read, got {error.strerror or error}"
        ) from error
    for entry in inside:
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
        DataError: the right root, also of a packed copy, is a level above or below, and named.
        LayoutError: none of them is anywhere near.
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
    said = f"{who}: expected {expected} in {root}, got none"
    if better:
        raise DataError(f"{said}; give data.{key}={better}")
    raise LayoutError(f"{said}; check data.{key} and the split")


def refuse_files(
    where: Path, expected: str, files: Sequence[str], fault: str, advice: str = ""
) -> None:
    """Raise a DataError that names the first of ``files``, or return where there are none."""
    if files:
        listed = "".join(f"\n  {file}" for file in files[:_MOST_LISTED])
        more = len(files) - _MOST_LISTED
        listed += f"\n  and {more} more" if more > 0 else ""
        raise DataError(
            f"{where}: expected {expected}, got {len(files)} that {fault}; "
            f"{advice or 'add or remove them'}:{listed}"
        )


def check_same_size(
    path: Path, image: tuple[int, int], mask_path: Path, mask: tuple[int, int]
) -> None:
    """Refuse a mask of another size than its image.

    Args:
        path: file of the image.
        image: its height and width, upright.
        mask_path: file of the mask.
        mask: its height and width.

    Raises:
        DataError: they differ; the message says if the image's EXIF orientation is the reason.
    """
    if mask == image:
        return
    advice = "resize one of them"
    if path.is_file() and stored_size(path) == mask:
        advice = (
            "the mask fits the image as stored, but its EXIF note turns it: "
            "rotate the mask, or remove the note"
        )
    raise DataError(
        f"{mask_path}: expected a mask of its image's size {image[1]}×{image[0]}, "
        f"got {mask[1]}×{mask[0]} for {path}; {advice}"
    )


def _whole(array: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    height, width = array.shape[:2]
    return array, (height, width)
