"""A packed copy of a dataset, which every command accepts instead of the original.

Decoding a file costs most of the time of a crop. A packed image is not decoded, or only where
the crop lies.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from segdistill.data.pack.manifest import (
    MANIFEST,
    Manifest,
    PackedClasses,
    PackedSplit,
    describe_files,
    read_manifest,
)
from segdistill.data.pack.raw import PackedDataset, write_raw
from segdistill.data.pack.tiled import TiledDataset, write_tiles
from segdistill.errors import DataError
from segdistill.json_text import load_json
from segdistill.runs.lock import hold
from segdistill.types import SegDataset


def pack(
    datasets: Mapping[str, SegDataset],
    out: Path,
    *,
    options: Mapping[str, object],
    compress: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write a packed copy of some splits of a dataset.

    The folder is written under another name and renamed when it is complete. Disk
    needed: 4 bytes per pixel; compressed, about half of that for photos.

    Args:
        datasets: split name to dataset; all with the same classes.
        out: the folder to make.
        options: the config that the datasets were built from; ``root`` is left out.
        compress: write lossless tiles instead of raw arrays: smaller, but slower to read.
        progress: called with split, images done and images in all.

    Returns:
        The folder.

    Raises:
        DataError: the folder exists, the classes differ, or an image cannot be read.
        RunFolderError: another process packs into it.
    """
    out = Path(out)
    if len({dataset.classes for dataset in datasets.values()}) != 1:
        raise DataError("pack: expected splits with the same classes, got others")
    with hold(out.with_name(f".{out.name}.lock"), out):
        if out.exists():
            raise DataError(
                f"pack: expected a new folder, got {out}, which exists; remove it first"
            )
        shutil.rmtree(_unfinished(out), ignore_errors=True)  # of a process that was killed
        _write(datasets, out, options, compress, progress)
    return out


def _write(
    datasets: Mapping[str, SegDataset],
    out: Path,
    options: Mapping[str, object],
    compress: bool,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    unfinished = _unfinished(out)
    unfinished.mkdir()
    write = write_tiles if compress else write_raw
    try:
        splits = {}
        for split, dataset in datasets.items():
            tell = partial(_tell, progress, split, len(dataset))
            files = write(dataset, unfinished, split, tell)
            splits[split] = PackedSplit(
                images=len(dataset), files=describe_files(unfinished, files)
            )
        classes = next(iter(datasets.values())).classes
        manifest = Manifest(
            content="tiles" if compress else "raw",
            options={key: _plain(value) for key, value in options.items() if key != "root"},
            classes=PackedClasses(names=classes.names, colors=classes.colors),
            splits=splits,
        )
        (unfinished / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        os.rename(unfinished, out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _unfinished(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def open_packed(
    root: Path, split: str, options: Mapping[str, object], *, defaults: Mapping[str, object]
) -> PackedDataset | TiledDataset:
    """Open one split of a packed dataset instead of the original.

    Args:
        root: the packed folder.
        split: name of the split.
        options: the config; the dataset must be what was packed.
        defaults: default of every setting that has to be equal to that of the packed copy.

    Raises:
        DataError: another dataset or other options were packed, the split was not, or a
            file is cut off.
    """
    manifest = read_manifest(root)
    plain = {key: _plain(value) for key, value in defaults.items()}
    packed = {**plain, **manifest.options}
    given = {**plain, **{key: _plain(value) for key, value in options.items()}}
    for key in ("dataset", *plain):
        if given[key] != packed.get(key):
            raise DataError(
                f"{root}: expected a packed copy with {key}={given[key]}, got one with "
                f"{key}={packed.get(key)}; pack it again or correct data.{key}"
            )
    if split not in manifest.splits:
        packed_splits = ", ".join(manifest.splits)
        raise DataError(
            f"{root}: expected a packed split {split}, got {packed_splits}; pack it again"
        )
    if manifest.content == "tiles":
        return TiledDataset(Path(root), split)
    return PackedDataset(Path(root), split)


def _tell(
    progress: Callable[[str, int, int], None] | None, split: str, count: int, done: int
) -> None:
    if progress is not None:
        progress(split, done, count)


def _plain(value: object) -> object:
    """Return an option as JSON gives it back."""
    return load_json(json.dumps(value, default=str))
