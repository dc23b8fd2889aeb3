"""A dataset of image and mask files, and how such files are found: what every layout uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segdistill.data.files.decoding import stored_size
from segdistill.data.files.labels import LabelCode
from segdistill.data.files.masks import read_mask
from segdistill.data.files.matching import Pair, refuse_files
from segdistill.data.files.partial import Rows, read_image_top, read_mask_top
from segdistill.data.files.pixels import AS_STORED, Pixels
from segdistill.data.files.reading import read_image
from segdistill.errors import DataError
from segdistill.types import Classes, Sample


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
            DataError: a file is missing or broken, the sizes differ, or the mask contains a
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
        """Read one mask without its image, or return None if there is none.

        Raises:
            DataError: it is missing or broken, or contains a value that is no class.
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
