"""From a checked config to datasets, stream, networks, teacher and learners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from segdistill.catalogue.losses import row_of
from segdistill.config import DataConfig, NetworkConfig, RunConfig, UnlabelledConfig
from segdistill.config.ensembles import networks_of
from segdistill.data import Recipe, Stream, build_dataset
from segdistill.data.carving import HOLDOUT, carve
from segdistill.data.files.dataset import FileDataset
from segdistill.data.parts import whole_splits
from segdistill.data.rare import count_pixels
from segdistill.errors import CheckpointError, ConfigError, DataError
from segdistill.models import Adapter, build_network
from segdistill.models.frozen import FrozenTeacher
from segdistill.models.taps import describe, resolve, source_of, tap_paths
from segdistill.runs.student import Student, write_student
from segdistill.seeding import derive
from segdistill.training.events import Note, Tell, silent
from segdistill.training.learner import Learner
from segdistill.training.objective import build_objective
from segdistill.training.teacher import check_knows
from segdistill.types import Classes, SegDataset, TapMaps


@dataclass(frozen=True)
class Data:
    """The data that a cohort trains on and is scored on."""

    stream: Stream
    train: SegDataset
    evaluation: SegDataset


def build_data(config: RunConfig) -> Data:
    """Open the datasets of a config.

    Raises:
        DataError: a split is empty, or a file is missing or broken.
    """
    train = open_split(config.data, config.data.train_split)
    evaluation = open_split(config.data, config.evaluation.split)
    for split, dataset in ((config.data.train_split, train), (config.evaluation.split, evaluation)):
        _check_labels(split, dataset)
    unlabelled = config.data.unlabelled
    stream = Stream(
        train,
        build_recipe(config.data),
        config.data.batch_size,
        config.data.seed,
        on_error=config.data.on_error,
        unlabelled=None if unlabelled is None else open_split(unlabelled, unlabelled.split),
        unlabelled_size=0 if unlabelled is None else unlabelled.per_batch,
    )
    return Data(stream, train, evaluation)


def _check_labels(split: str, dataset: SegDataset) -> None:
    """Refuse a split without classes or masks."""
    if not len(dataset.classes):
        raise DataError(
            f"data: expected a dataset with classes, got {split} without any; use images without "
            "masks as data.unlabelled, or for prediction"
        )
    files = [part for part in whole_splits(dataset) if isinstance(part, FileDataset)]
    if any(all(pair.mask is None for pair in part.pairs) for part in files):
        raise DataError(
            f"data: expected masks, got none in {split}; "
            "use images without masks as data.unlabelled"
        )


def open_split(config: DataConfig | UnlabelledConfig, split: str) -> SegDataset:
    """Open one split of a dataset, which may be ``holdout``; raises like :func:`build_data`."""
    if not isinstance(config, DataConfig):
        return build_dataset(config, split=split)
    train = split in (HOLDOUT, config.train_split)
    whole = build_dataset(config, split=config.train_split if train else split)
    if split == HOLDOUT:
        return carve(whole, config.holdout, "held")
    return carve(whole, config.holdout, "kept") if train and config.holdout else whole


def build_recipe(config: DataConfig) -> Recipe:
    """Return how training crops are drawn and augmented."""
    return Recipe(
        crop=config.crop,
        scale=config.scale,
        flip=config.flip,
        brightness=config.jitter,
        contrast=config.jitter,
        saturation=config.jitter,
        hue=config.hue,
        blur=config.blur,
        max_class_share=config.max_class_share,
        rare_class=config.rare_class,
        rare_temperature=config.rare_temperature,
    )


def build_section(
    section: NetworkConfig,
    classes: int,
    *,
    seed: int,
    purpose: str,
    class_names: Sequence[str] = (),
    tell: Tell = silent,
) -> nn.Module:
    """Build the network of a section; equal seeds give equal initial weights.

    Args:
        section: the section of the config.
        classes: number of classes.
        seed: seed of the initial weights.
        purpose: ``student``, whose weights may be for other classes, or ``teacher``.
        class_names: the dataset's classes; see :func:`segdistill.models.build_network`.
        tell: called with what was stripped, skipped or missing in a weights file.

    Raises:
        ValueError: the network cannot be built as configured.
        CheckpointError: its weights file does not fit.
        FileNotFoundError: the weights file does not exist.
    """
    try:
        return build_network(
            section,
            classes=classes,
            seed=derive(seed, purpose),
            class_names=class_names,
            fine_tune=purpose == "student",
            tell=lambda sentence: tell(Note(f"{purpose}: {sentence}")),
        )
    except (ValueError, CheckpointError, FileNotFoundError) as error:
        raise type(error)(f"{purpose}: {error}") from None


def counted_weights(
    dataset: SegDataset, how: Literal["balanced", "logarithmic"], *, skip_broken: bool
) -> list[float]:
    r"""Return a weight for each class from its number of positions in a dataset.

    ``balanced`` gives all classes the same share: :math:`n / (K n_k)` with :math:`n` labelled
    positions, :math:`n_k` of them of the class, and :math:`K` classes; 1 for a class without
    positions. ``logarithmic`` is :math:`1 / \ln(1.1 + n_k / n)`, from 1.35 to 10.5.

    Source:
        Logarithmic: Paszke et al., "ENet", 2016, arXiv:1606.02147, Sec. 5.2, with the 1.1 of
        sacmehta/ESPNet, ``train/loadData.py``.
    """
    pixels = count_pixels(dataset, skip_broken=skip_broken).sum(axis=0).astype(float)
    if how == "logarithmic":
        return [float(weight) for weight in 1 / np.log(1.1 + pixels / max(pixels.sum(), 1.0))]
    weights = pixels.sum() / (len(pixels) * np.maximum(pixels, 1.0))
    return [float(weight) for weight in np.where(pixels > 0, weights, 1.0)]


def build_cohort(
    configs: Mapping[str, RunConfig],
    classes: Classes,
    tell: Tell = silent,
    *,
    train: SegDataset | None = None,
    maps: TapMaps | None = None,
) -> tuple[FrozenTeacher | None, list[Learner]]:
    """Build the learners of a cohort and the teacher that they share.

    Args:
        configs: configs by learner; teacher and data are those of the first.
        classes: the dataset's classes.
        tell: called with what was stripped, skipped or missing in weights files.
        train: the training images, from which class weights are computed.
        maps: the teacher's maps of a batch; the teacher itself is then not built.

    Returns:
        The teacher with every tap that a learner needs (None if none does), and the
        learners in the order of the configs.

    Raises:
        ConfigError: the teacher has no weights, or a student has a key for teachers only.
        ValueError: a network cannot be built, a tap does not exist, or the crop is too small.
        CheckpointError: a weights file does not fit.
    """
    first = next(iter(configs.values()))
    taps = taps_of(list(configs.values()))
    teacher, teacher_channels = None, dict[str, int]()
    if first.student.untrained:
        raise ConfigError("student.untrained: expected it for a teacher only; leave it out")
    if first.student.shard:
        raise ConfigError("student.shard: expected it for a teacher only; leave it out")
    if first.student.cache is not None:
        raise ConfigError("student.cache: expected it for a teacher only; leave it out")
    if maps is not None:
        if missing := [tap for tap in taps if tap not in maps]:
            raise ValueError(f"teacher: expected its maps at {', '.join(missing)}, got none")
        teacher_channels = {tap: values.shape[1] for tap, values in maps.items()}
    elif taps and first.teacher is not None:
        for where, section in networks_of(first.teacher, "teacher").items():
            check_knows(section, taps, where)
        # A teacher without weights is always initialised with the same seed.
        network = build_section(
            first.teacher,
            len(classes),
            seed=0,
            purpose="teacher",
            class_names=classes.names,
            tell=tell,
        )
        teacher_channels = _channels(network, taps, first.data.crop, "teacher")
        teacher = FrozenTeacher(network, taps)
    learners = [
        _build_learner(name, config, classes, teacher_channels, tell, train)
        for name, config in configs.items()
    ]
    return teacher, learners


def taps_of(configs: Sequence[RunConfig]) -> list[str]:
    """Return the teacher's taps that learners with the same data need."""
    terms = [term for config in configs for term in config.distill]
    taps = list(dict.fromkeys(tap for term in terms for tap in term.taps))
    if taps and _teacher_labels(configs[0]):
        taps = list(dict.fromkeys([*taps, "logits"]))
    return taps


def save_student(file: Path, network: nn.Module, config: RunConfig, classes: Classes) -> None:
    """Write a student, with everything needed to rebuild it in the metadata."""
    section = describe_student(network, config)
    student = Student(section, classes.names, classes.colors, config.hash())
    write_student(file, network, student)


def describe_student(network: nn.Module, config: RunConfig) -> dict[str, Any]:
    """Return the section that builds a student again for its state, without weights of others."""
    section: dict[str, Any] = config.tree()["student"]
    section |= {"weights": None, "backbone_weights": None}
    if "pretrained" in section:
        section["pretrained"] = False
    if section["class_map"] is None:
        del section["class_map"]
    elif isinstance(network, Adapter):  # by number, since the file's classes are the dataset's
        section["class_map"] = network.adaptation.class_map
    return section


def _build_learner(
    name: str,
    config: RunConfig,
    classes: Classes,
    teacher_channels: Mapping[str, int],
    tell: Tell,
    train: SegDataset | None,
) -> Learner:
    seed = config.training.seed
    student = build_section(
        config.student,
        len(classes),
        seed=seed,
        purpose="student",
        class_names=classes.names,
        tell=tell,
    )
    taps = list(dict.fromkeys(tap for term in config.distill for tap in term.taps))
    objective = build_objective(
        config.distill,
        student_channels=_channels(student, taps, config.data.crop, "student"),
        teacher_channels=teacher_channels,
        classes=len(classes),
        auxiliary_weight=config.training.auxiliary_weight,
        label_smoothing=config.training.label_smoothing,
        teacher_labels=_teacher_labels(config),
        seed=seed,
        task=config.training.task,
        class_weights=_class_weights(config, train),
        classifier=classifier_of(student, config),
    )
    return Learner(name, student, objective, config.training)


def classifier_of(student: nn.Module, config: RunConfig) -> nn.Module | None:
    """Return the layer that computes a network's logits, if a term of the config may ask for it.

    It is the last of the module at that tap. The tap of an adapted network only passes the logits
    on; there it is the layer that they come from, if they arrive as it made them.
    """
    if not any("classifier" in row_of(term.loss).given for term in config.distill):
        return None
    (module,) = (
        resolve(student, ["logits"]).values() if "logits" in tap_paths(student) else [student]
    )
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    if isinstance(module, nn.Identity):
        return source_of(student, module, config.data.crop) or module
    return module


def _class_weights(config: RunConfig, train: SegDataset | None) -> Sequence[float] | None:
    weights = config.training.task.class_weights
    if not isinstance(weights, str):
        return weights
    if train is None:
        raise ValueError(
            f"training.task.class_weights: expected training images to compute {weights} weights, "
            "got none; pass train= to build_cohort"
        )
    return counted_weights(train, weights, skip_broken=config.data.on_error == "skip")


def _teacher_labels(config: RunConfig) -> bool:
    """Return whether losses that need labels get the teacher's for unlabelled images."""
    unlabelled = config.data.unlabelled
    return unlabelled is not None and unlabelled.labels == "teacher"


def _channels(
    network: nn.Module, taps: Sequence[str], crop: tuple[int, int], who: str
) -> dict[str, int]:
    try:
        return {tap: shape.channels for tap, shape in describe(network, taps, crop).items()}
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from None
