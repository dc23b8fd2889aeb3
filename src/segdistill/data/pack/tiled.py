"""A packed split as lossless tiles: half the disk of raw arrays, a crop decodes its own tiles."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segdistill.data.files.decoding import check_pixels
from segdistill.data.pack.manifest import read_index, read_names, read_split
from segdistill.data.pack.raw import map_bytes, write_index
from segdistill.data.pack.tiles import (
    Window,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    tile_windows,
    touched,
)
from segdistill.errors import DataError
from segdistill.types import Classes, Sample, SegDataset

_PARTS = ("tiles.bin", "index.npy", "offsets.npy", "names.txt")

WindowOf = Callable[[tuple[int, int], np.ndarray | None], Window]
"""From the height and width of an image, and its mask if asked for, to a window."""


def write_tiles(
    dataset: SegDataset, out: Path, split: str, progress: Callable[[int], None]
) -> list[str]:
    """Write one split as compressed tiles; see :func:`~segdistill.data.pack.raw.write_raw`."""
    index = np.zeros((len(dataset), 4), dtype=np.int64)
    names, offsets = [], [0]
    with (out / f"{split}.tiles.bin").open("wb") as file:
        for number in range(len(dataset)):
            image, mask, name = dataset[number]
            index[number] = len(offsets) - 1, mask is not None, *image.shape[:2]
            names.append(name)
            for tile in encode_image(image):
                offsets.append(offsets[-1] + file.write(tile))
            for tile in encode_mask(mask) if mask is not None else ():
                offsets.append(offsets[-1] + file.write(tile))
            progress(number + 1)
    np.save(out / f"{split}.offsets.npy", np.array(offsets, dtype=np.int64))
    write_index(out, split, index, names)
    return [f"{split}.{part}" for part in _PARTS]


class TiledDataset:
    """One split of a compressed packed dataset.

    Args:
        root: the packed folder.
        split: name of the split.

    Raises:
        DataError: the manifest is missing or of another version, or a file is cut off.
    """

    def __init__(self, root: Path, split: str) -> None:
        self.root, self.split = Path(root), split
        self._classes = read_split(self.root, split, _PARTS)
        # First tile, whether there is a mask, height, width.
        self._index = read_index(self.root / f"{split}.index.npy", 4)
        self._offsets = read_index(self.root / f"{split}.offsets.npy")
        self.names = read_names(self.root, split, len(self._index))
        self._tiles: np.ndarray | None = None

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self._classes

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Decode one image and its mask.

        Raises:
            DataError: the file was changed after packing.
        """
        return self.read_window(index, lambda size, _: Window(0, 0, *size), look=False)

    def read_window(self, index: int, window_of: WindowOf, *, look: bool) -> Sample:
        """Decode the tiles of a window.

        Args:
            index: which image.
            window_of: the window, given the image's size and, with ``look``, its mask.
            look: whether the window depends on the mask, which is then decoded as a whole.

        Returns:
            Image and mask at their full size, of which only the window is filled.

        Raises:
            DataError: the file was changed after packing.
        """
        size = self._size(index)
        mask = self.read_mask(index) if look else None
        window = window_of(size, mask)
        image = self._decode(decode_image, index, 0, window)
        if not look and self._index[index, 1]:
            mask = self._decode(decode_mask, index, len(tile_windows(size)), window)
        return Sample(image, mask, self.names[index])

    def read_mask(self, index: int) -> np.ndarray | None:
        """Decode one mask, or return None if there is none; raises as for indexing."""
        if not self._index[index, 1]:
            return None
        size = self._size(index)
        return self._decode(decode_mask, index, len(tile_windows(size)), Window(0, 0, *size))

    def __getstate__(self) -> dict[str, object]:
        # The file is mapped anew in each process, never sent to it.
        return {**self.__dict__, "_tiles": None}

    def _size(self, index: int) -> tuple[int, int]:
        _, _, height, width = self._index[index].tolist()
        check_pixels(self.root / self.names[index], height, width)
        return height, width

    def _decode(
        self, decode: Callable[..., np.ndarray], index: int, skipped: int, window: Window
    ) -> np.ndarray:
        if self._tiles is None:
            self._tiles = map_bytes(self.root / f"{self.split}.tiles.bin")
        size = self._size(index)
        first = int(self._index[index, 0]) + skipped
        data = self._tiles.data
        try:
            tiles = {
                number: data[self._offsets[first + number] : self._offsets[first + number + 1]]
                for number in touched(size, window)
            }
            return decode(tiles, size, window)
        except (zlib.error, ValueError, IndexError) as error:
            raise DataError(
                f"{self.root / self.split}.tiles.bin: expected the packed content of "
                f"{self.names[index]}, got other bytes ({error}); pack it again"
            ) from error
