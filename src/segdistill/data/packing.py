"""A packed copy of a dataset: raw arrays in one file a split, mapped into memory.

Decoding a file costs most of the time of a crop. A packed image is not decoded: a crop
reads its own rows, straight from the disk cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.errors import DataError
from segdistill.types import Classes, Sample, SegDataset

MANIFEST = "segdistill-pack.json"
"""File that makes a folder a packed dataset."""

_FORMAT = 1
_NO_MASK = -1


def pack(
    datasets: Mapping[str, SegDataset],
    out: Path,
    *,
    options: Mapping[str, object],
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write a packed copy of some splits of a dataset.

    The folder appears when all of it is written; until then it has another name. Disk
    needed: 4 bytes a pixel.

    Args:
        datasets: split name to dataset; all with the same classes.
        out: the folder to make.
        options: the config that the datasets were built from; ``root`` is left out.
        progress: called with split, images done and images in all.

    Returns:
        The folder.

    Raises:
        DataError: the folder exists, the classes differ, or an image cannot be read.
    """
    out = Path(out)
    if out.exists():
        raise DataError(f"pack: expected a new folder, got {out}, which exists; remove it first")
    if len({dataset.classes for dataset in datasets.values()}) != 1:
        raise DataError("pack: expected splits with the same classes, got others")
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        splits = {
            split: _pack_split(dataset, partial, split, progress)
            for split, dataset in datasets.items()
        }
        classes = next(iter(datasets.values())).classes
        manifest = {
            "format": _FORMAT,
            "options": {key: _plain(value) for key, value in options.items() if key != "root"},
            "classes": {"names": classes.names, "colors": classes.colors},
            "splits": splits,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def is_packed(root: Path) -> bool:
    """Return whether a folder holds a packed dataset."""
    return (Path(root) / MANIFEST).is_file()


def open_packed(root: Path, split: str, options: Mapping[str, object]) -> PackedDataset:
    """Open one split of a packed dataset in place of the original.

    Args:
        root: the packed folder.
        split: name of the split.
        options: the config; each option but ``root`` must be what was packed.

    Raises:
        DataError: another dataset or other options were packed, the split was not, or a
            file is cut off.
    """
    manifest = _read_manifest(root)
    packed = manifest["options"]
    given = {key: _plain(value) for key, value in options.items() if key != "root"}
    for key in sorted({*packed, *given}):
        if key in given and given[key] != packed.get(key, given[key]):
            raise DataError(
                f"{root}: expected a packed copy with {key}={given[key]}, got one with "
                f"{key}={packed[key]}; pack it again or correct data.{key}"
            )
    if split not in manifest["splits"]:
        there = ", ".join(manifest["splits"])
        raise DataError(f"{root}: expected a packed split {split}, got {there}; pack it again")
    return PackedDataset(Path(root), split)


def find_pack_faults(root: Path) -> list[str]:
    """Compare the hash of each file of a packed dataset with its manifest.

    Returns:
        One message a file that differs; empty where all are sound.
    """
    faults = []
    for split in _read_manifest(root)["splits"].values():
        for name, expected in split["files"].items():
            path = Path(root) / name
            if not path.is_file() or _hash_file(path) != expected["blake2b"]:
                faults.append(
                    f"{path}: expected the packed content, got other bytes; pack it again"
                )
    return faults


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
        manifest = _read_manifest(root)
        self.root, self.split = Path(root), split
        self._classes = Classes(
            tuple(manifest["classes"]["names"]),
            tuple((r, g, b) for r, g, b in manifest["classes"]["colors"]),
        )
        for name, expected in manifest["splits"][split]["files"].items():
            size = (self.root / name).stat().st_size if (self.root / name).is_file() else 0
            if size != expected["bytes"]:
                raise DataError(
                    f"{self.root / name}: expected {expected['bytes']} bytes, got {size}; "
                    "the packed copy is cut off: pack it again"
                )
        # Offset of image and mask, height, width.
        self._index: np.ndarray = np.load(self.root / f"{split}.index.npy")
        self._names = (self.root / f"{split}.names.txt").read_text(encoding="utf-8").split("\n")
        self._maps: _Maps | None = None

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self._classes

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Return views of one image and its mask; nothing is read yet."""
        maps = self._maps or self._map()
        first, mask_first, height, width = self._index[index].tolist()
        image = maps.images[first : first + height * width * 3].reshape(height, width, 3)
        mask = None
        if mask_first != _NO_MASK:
            mask = maps.masks[mask_first : mask_first + height * width].reshape(height, width)
        return Sample(image, mask, self._names[index])

    def __getstate__(self) -> dict[str, object]:
        # Maps are made anew in each process, never sent to it.
        return {**self.__dict__, "_maps": None}

    def _map(self) -> _Maps:
        self._maps = _Maps(
            _map_bytes(self.root / f"{self.split}.images.bin"),
            _map_bytes(self.root / f"{self.split}.masks.bin"),
        )
        return self._maps


def _pack_split(
    dataset: SegDataset,
    out: Path,
    split: str,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, object]:
    index = np.zeros((len(dataset), 4), dtype=np.int64)
    names = []
    first = mask_first = 0
    with (
        (out / f"{split}.images.bin").open("wb") as images,
        (out / f"{split}.masks.bin").open("wb") as masks,
    ):
        for place in range(len(dataset)):
            image, mask, name = dataset[place]
            height, width = image.shape[:2]
            index[place] = first, _NO_MASK if mask is None else mask_first, height, width
            names.append(name.replace("\n", " "))
            images.write(np.ascontiguousarray(image).data)
            first += image.size
            if mask is not None:
                masks.write(np.ascontiguousarray(mask).data)
                mask_first += mask.size
            if progress is not None:
                progress(split, place + 1, len(dataset))
    np.save(out / f"{split}.index.npy", index)
    (out / f"{split}.names.txt").write_text("\n".join(names), encoding="utf-8")
    files = [f"{split}.{part}" for part in ("images.bin", "masks.bin", "index.npy", "names.txt")]
    return {
        "images": len(dataset),
        "files": {
            name: {"bytes": (out / name).stat().st_size, "blake2b": _hash_file(out / name)}
            for name in files
        },
    }


def _read_manifest(root: Path) -> dict[str, Any]:
    path = Path(root) / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected the manifest of a packed dataset ({error})") from error
    if manifest.get("format") != _FORMAT:
        raise DataError(
            f"{path}: expected format {_FORMAT}, got {manifest.get('format')}; pack it again"
        )
    return manifest


def _map_bytes(path: Path) -> np.ndarray:
    # An empty file cannot be mapped: a split without masks has one.
    if path.stat().st_size == 0:
        return np.empty(0, dtype=np.uint8)
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _plain(value: object) -> object:
    """Return an option as JSON gives it back."""
    return json.loads(json.dumps(value, default=str))
