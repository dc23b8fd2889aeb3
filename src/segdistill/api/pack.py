"""Pack: copy a dataset into a format in which a crop reads only its own rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill import config as configs
from segdistill.config.splits import split_names
from segdistill.data import build_dataset
from segdistill.data.pack.packing import pack as pack_splits
from segdistill.errors import ConfigError, OverwriteError
from segdistill.files import real_path
from segdistill.training.events import Progress, Tell, silent


def pack(
    dataset: str,
    out: str | Path,
    *,
    splits: Sequence[str] = ("train", "val"),
    settings: Sequence[str] = (),
    compress: bool = False,
    tell: Tell = silent,
) -> Path:
    """Write a packed copy of a dataset, to be used as ``data.root`` instead of the original.

    Example::

        segdistill.pack("cityscapes", "packed/cityscapes", settings=["root=cityscapes"])

    Args:
        dataset: a name in ``segdistill.catalogue.datasets.DATASETS``.
        out: the folder to make.
        splits: the splits to pack.
        settings: settings of the dataset as ``key=value``, such as ``root``.
        compress: write lossless tiles, which need about half the disk space of raw arrays.
        tell: called with progress.

    Raises:
        ConfigError: the dataset or a setting is unknown, there are no files, or splits are joined.
        OverwriteError: the folder is inside the dataset.
        DataError: the folder exists, or the data are missing or broken.
    """
    tree = configs.override({}, settings)
    options = {"dataset": dataset, **tree}
    for split in splits:
        if len(split_names(split)) > 1:
            raise ConfigError(
                f"pack: expected single splits, got {split}; pack each of them, and join them in "
                "data.train_split"
            )
    opened = {split: build_dataset(options, split=split) for split in splits}
    if "root" not in options:
        raise ConfigError(f"pack: expected a dataset with files, got {dataset}, which has none")
    root = real_path(str(options["root"]))
    if real_path(out).is_relative_to(root):
        raise OverwriteError(
            f"pack: expected a folder outside the dataset {root}, got {out}; choose another --out"
        )

    def progress(split: str, done: int, total: int) -> None:
        tell(Progress(f"packing {split}", done, total, {}))

    return pack_splits(opened, Path(out), options=options, compress=compress, progress=progress)
