"""A packed split as raw arrays, mapped into memory: a crop reads its own rows, undecoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.data.pack.manifest import read_index, read_names, read_split
from segdistill.errors import DataError
from segdistill.types import Classes, Sample, SegDataset

_PARTS = ("images.bin", "masks.bin", "index.npy", "names.txt")
_NO_MASK = -1


def write_raw(
    dataset: SegDataset, out: Path, split: str, progress: Callable[[int], None]
) -> list[str]:
    """Write one split as raw arrays, 4 bytes per pixel.

    Args:
        dataset: the split.
        out: folder, which exists.
        split: its name, the first part of the files' names.
        progress: called with the number of images written.

    Returns:
        The names of the files.
    """
    index = np.zeros((len(dataset), 4), dtype=np.int64)
    names = []
    first = mask_first = 0
    with (
        (out / f"{split}.images.bin").open("wb") as images,
        (out / f"{split}.masks.bin").open("wb") as masks,
    ):
        for number in range(len(dataset)):
            image, mask, name = dataset[number]
            height, width = image.shape[:2]
            index[number] = first, _NO_MASK if mask is None else mask_first, height, width
            names.append(name)
            images.write(np.ascontiguousarray(image).data)
            first += image.size
            if mask is not None:
                masks.write(np.ascontiguousarray(mask).data)
                mask_first += mask.size
            progress(number + 1)
    write_index(out, split, index, names)
    return [f"{split}.{part}" for part in _PARTS]


def write_index(out: Path, split: str, index: np.ndarray, names: list[str]) -> None:
    """Write where each image of a packed split lies, and its name.

    Args:
        out: folder, which exists.
        split: name of the split, the first part of the files' names.
        index: one row per image.
        names: one per image, written on separate lines.
    """
    np.save(out / f"{split}.index.npy", index)
    lines = [name.replace("\n", " ") for name in names]
    (out / f"{split}.names.txt").write_text("\n".join(lines), encoding="utf-8")


@dataclass
class _Maps:
    images: np.ndarray
    masks: np.ndarray


class PackedDataset:
    """One split of a packed dataset; its samples are views of mapped files.

    Args:
        root: the packed folder.
        split: name of the split.

    Raises:
        DataError: the manifest is missing or of another version, or a file is cut off.
    """

    def __init__(self, root: Path, split: str) -> None:
        self.root, self.split = Path(root), split
        self._classes = read_split(self.root, split, _PARTS)
        # Offset of image and mask, height, width.
        self._index = read_index(self.root / f"{split}.index.npy", 4)
        self._names = read_names(self.root, split, len(self._index))
        self._maps: _Maps | None = None

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self._classes

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Return views of one image and its mask; nothing is read yet.

        Raises:
            DataError: the index does not fit the files.
        """
        maps = self._maps or self._map()
        first, mask_first, height, width = self._index[index].tolist()
        try:
            image = maps.images[first : first + height * width * 3].reshape(height, width, 3)
            mask = None
            if mask_first != _NO_MASK:
                mask = maps.masks[mask_first : mask_first + height * width].reshape(height, width)
        except ValueError as error:
            raise DataError(
                f"{self.root / self.split}.index.npy: expected the position of "
                f"{self._names[index]}, "
                f"got another ({error}); pack it again"
            ) from None
        return Sample(image, mask, self._names[index])

    def __getstate__(self) -> dict[str, object]:
        # Maps are made anew in each process, never sent to it.
        return {**self.__dict__, "_maps": None}

    def _map(self) -> _Maps:
        self._maps = _Maps(
            map_bytes(self.root / f"{self.split}.images.bin"),
            map_bytes(self.root / f"{self.split}.masks.bin"),
        )
        return self._maps


def map_bytes(path: Path) -> np.ndarray:
    """Map a file into memory, read-only."""
    # An empty file cannot be mapped: a split without masks has one.
    if path.stat().st_size == 0:
        return np.empty(0, dtype=np.uint8)
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
