"""From the settings of a config to a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from segdistill.catalogue.datasets import (
    DATASETS,
    OWN,
    dataset_settings,
    image_settings,
    label_settings,
)
from segdistill.catalogue.settings import REQUIRED
from segdistill.catalogue.tables import load
from segdistill.checks import nearest
from segdistill.classes import classes_fault
from segdistill.config import DataConfig, UnlabelledConfig
from segdistill.config.splits import split_names
from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.pixels import pixels
from segdistill.data.files.relabel import relabel
from segdistill.data.formats.hf import ArrowDataset
from segdistill.data.formats.own import from_import
from segdistill.data.joining import Joined
from segdistill.errors import ConfigError, DataError, LayoutError
from segdistill.files import expand_path
from segdistill.types import SegDataset


def build_dataset(
    options: DataConfig | UnlabelledConfig | Mapping[str, object], *, split: str
) -> SegDataset:
    """Build one split of a dataset from a config.

    If ``root`` is a packed copy of the dataset, the copy is opened instead of the original.

    Args:
        options: a checked section of a config, or a mapping: key ``dataset`` names a row of
            ``DATASETS``, the other keys are settings of that row.
        split: name of the split, such as ``train`` or ``val``, or several that are joined, as
            ``train+val``.

    Returns:
        Images with masks, by index.

    Raises:
        ConfigError: no such dataset, a key that is none of its settings, or one that is
            missing.
        DataError: the files are missing or do not match.
    """
    if isinstance(options, DataConfig | UnlabelledConfig):
        return _joined(options.dataset, options.settings(), split)
    name = str(options.get("dataset"))
    if name.startswith(OWN):
        return _build(name, {key: options[key] for key in options if key != "dataset"}, split)
    if name not in DATASETS:
        raise ConfigError(
            f"build_dataset: expected a known dataset, got {name!r}; {nearest(name, DATASETS)}"
        )
    known = dataset_settings(name)
    settings: dict[str, Any] = {key: value for key, value in options.items() if key != "dataset"}
    for key in settings:
        if key not in known:
            raise ConfigError(
                f"build_dataset: expected settings of {name}, got {key!r}; {nearest(key, known)}"
            )
    for key, setting in known.items():
        if key not in settings and setting.default is REQUIRED:
            raise ConfigError(
                f"build_dataset: expected {key} for {name}, got nothing; add data.{key}"
            )
    return _joined(name, settings, split)


def _joined(name: str, settings: dict[str, Any], split: str) -> SegDataset:
    """Build a dataset of settings that were checked, of several splits where they are joined."""
    names = split_names(split)
    parts = {part: _build(name, settings, part) for part in names}
    for dataset in parts.values():
        classes = dataset.classes
        if len(classes) and (fault := classes_fault(classes.names, classes.colors)):
            raise DataError(f"data.dataset={name}: {fault}; correct it in the dataset")
    return parts[split] if len(names) == 1 else Joined(parts)


def _build(name: str, settings: dict[str, Any], split: str) -> SegDataset:
    """Build one split of a dataset of settings that were checked."""
    if name.startswith(OWN):
        return from_import(split=split, name=name, args=settings.get("args") or {})
    known = dataset_settings(name)
    settings = {**settings}
    for key in settings.keys() & known.keys():
        if Path in (known[key].type, *get_args(known[key].type)) and settings[key] is not None:
            try:
                settings[key] = expand_path(settings[key])
            except ValueError as error:
                raise ConfigError(f"data.{key}: {error}") from None
    root = settings.get("root")
    if isinstance(root, str | Path):
        from segdistill.data.pack.manifest import is_packed
        from segdistill.data.pack.packing import open_packed

        if is_packed(Path(root)):
            # Where files lie may differ between the original and its copy.
            defaults = {
                key: setting.default
                for key, setting in known.items()
                if Path not in (setting.type, *get_args(setting.type))
            }
            return open_packed(Path(root), split, {"dataset": name, **settings}, defaults=defaults)
    how = {key: settings.pop(key) for key in image_settings(name) if key in settings}
    labels = {key: settings.pop(key) for key in label_settings(name) if key in settings}
    try:
        dataset: SegDataset = load("segdistill.data", DATASETS[name].target)(
            split=split, **settings
        )
    except LayoutError as error:
        if root is None or not Path(root).is_dir():
            raise
        from segdistill.data.convert.detection import what_it_is

        raise DataError(f"{error}; {what_it_is(Path(root))}") from error
    if isinstance(dataset, FileDataset | ArrowDataset):
        dataset.read_as(pixels(**how), *relabel(dataset.classes, dataset.code, **labels))
    return dataset
