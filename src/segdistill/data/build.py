"""From the settings of a config to a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.settings import REQUIRED
from segdistill.catalogue.tables import load
from segdistill.checks import nearest
from segdistill.config import DataConfig, UnlabelledConfig
from segdistill.errors import ConfigError
from segdistill.types import SegDataset


def build_dataset(
    options: DataConfig | UnlabelledConfig | Mapping[str, object], *, split: str
) -> SegDataset:
    """Build one split of a dataset from a config.

    Where ``root`` is a packed copy of the dataset, that is opened in place of the original.

    Args:
        options: a checked section of a config, or a mapping: key ``dataset`` names a row of
            ``DATASETS``, the other keys are settings of that row.
        split: name of the split, such as ``train`` or ``val``.

    Returns:
        Images with masks, by index.

    Raises:
        ConfigError: no such dataset, a key that is none of its settings, or one that is
            missing.
        DataError: the files are missing or do not match.
    """
    if isinstance(options, DataConfig | UnlabelledConfig):
        return _build(options.dataset, options.settings(), split)
    name = str(options.get("dataset"))
    if name not in DATASETS:
        raise ConfigError(
            f"build_dataset: expected a known dataset, got {name!r}; {nearest(name, DATASETS)}"
        )
    entry = DATASETS[name]
    known = entry.settings
    given = {key: value for key, value in options.items() if key != "dataset"}
    for key in given:
        if key not in known:
            raise ConfigError(
                f"build_dataset: expected settings of {name}, got {key!r}; {nearest(key, known)}"
            )
    for key, setting in known.items():
        if key not in given and setting.default is REQUIRED:
            raise ConfigError(
                f"build_dataset: expected {key} for {name}, got nothing; add data.{key}"
            )
    return _build(name, given, split)


def _build(name: str, given: Mapping[str, Any], split: str) -> SegDataset:
    """Build a dataset of settings that were checked."""
    entry = DATASETS[name]
    root = given.get("root")
    if isinstance(root, str | Path):
        from segdistill.data.pack.manifest import is_packed
        from segdistill.data.pack.packing import open_packed

        if is_packed(Path(root)):
            # Where files lie may differ between the original and its copy.
            defaults = {
                key: setting.default
                for key, setting in entry.settings.items()
                if Path not in (setting.type, *get_args(setting.type))
            }
            return open_packed(Path(root), split, {"dataset": name, **given}, defaults=defaults)
    dataset: SegDataset = load("segdistill.data", entry.target)(split=split, **given)
    return dataset
