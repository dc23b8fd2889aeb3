"""Check a config or its data before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.config import RunConfig
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.data.contact_sheet import contact_sheet
from segdistill.data.data_report import DataReport
from segdistill.data.inspection import inspect_data
from segdistill.data.pack.manifest import find_pack_faults, is_packed
from segdistill.data.pictures import write_image
from segdistill.errors import DataError
from segdistill.files import claim
from segdistill.training.build import open_split
from segdistill.training.dry import try_cohort
from segdistill.training.events import Progress, Tell, silent
from segdistill.types import SegDataset

_UNLABELLED = "unlabelled"


def check(
    source: str | Path | LoadedConfig,
    *,
    overrides: Sequence[str] = (),
    weak_teacher: bool = False,
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> dict[str, RunConfig]:
    """Try out a config: keys, data, networks, taps, a training step and scoring.

    Every image and mask of both splits is read, and one image of each size is scored. ``tell``
    is called with the inputs of teacher and students and with the teacher's score on a few
    images. Nothing is written.

    Example::

        segdistill.check("config.yaml", overrides=["data.root=photos"], tell=print)

    Args:
        source: config file or name of a recipe.
        overrides: overrides of the form ``a.b=value``.
        weak_teacher: continue even if the teacher is no better than chance.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.
        tell: called with the findings.

    Returns:
        The checked configs, by learner.

    Raises:
        ConfigError, DataError, CheckpointError, ValueError: whatever would have stopped the run.
    """
    loaded = dict(load_config(source, overrides, trust=trust).learners)
    faults = _pack_faults(next(iter(loaded.values())))
    if faults:
        raise DataError("\n  ".join(["check: expected an intact packed copy, got:", *faults]))
    try_cohort(loaded, weak_teacher=weak_teacher, tell=tell)
    return loaded


def check_data(
    source: str | Path | LoadedConfig,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> DataReport:
    """Read all images and masks of a config's splits, and describe them.

    Arguments and errors are those of :func:`check`; problems with the data are in the report.
    """
    config = _first(source, overrides, trust)

    def progress(split: str, done: int, total: int) -> None:
        tell(Progress(f"reading {split}", done, total, {}))

    def find(split: str) -> SegDataset:
        if config.data.unlabelled is not None and split == _UNLABELLED:
            return open_split(config.data.unlabelled, config.data.unlabelled.split)
        return open_split(config.data, split)

    train = config.data.train_split
    splits = list(dict.fromkeys([train, config.evaluation.split]))
    splits += [_UNLABELLED] if config.data.unlabelled is not None else []
    report = inspect_data(
        {}, splits, progress=progress, open_split=find, images_only=(_UNLABELLED,)
    )
    report.splits[train].faults.extend(_pack_faults(config))
    return report


def draw_sheet(
    source: str | Path | LoadedConfig,
    file: str | Path,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> None:
    """Draw a contact sheet of training images with their masks.

    Args:
        source: config file or name of a recipe.
        file: PNG or JPEG file to write.
        overrides: overrides of the form ``a.b=value``.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.

    Raises:
        DataError: no image can be read.
        OverwriteError: the file exists and was not drawn by check.
    """
    claim("check", [Path(file)])
    data = _first(source, overrides, trust).data
    sheet = contact_sheet(open_split(data, data.train_split))
    write_image(Path(file), sheet, made_by="check")


def _first(
    source: str | Path | LoadedConfig, overrides: Sequence[str], trust: Sequence[str]
) -> RunConfig:
    return next(iter(load_config(source, overrides, trust=trust).learners.values()))


def _pack_faults(config: RunConfig) -> list[str]:
    """Return the files of a packed copy that have changed since packing."""
    root = config.data.settings().get("root")
    return find_pack_faults(root) if root is not None and is_packed(root) else []
