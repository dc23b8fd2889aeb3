"""Use a trained student: score it on a split, or write what it predicts."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import nn

from segdistill.api.places import CheckedRun, check_run, find_run
from segdistill.api.saved import load_student, pick_device
from segdistill.config import EvaluationConfig, RunConfig
from segdistill.data.files.pixels import AS_STORED, Pixels, pixels_of_config
from segdistill.data.files.reading import IMAGE_SUFFIXES, read_image
from segdistill.data.parts import files_of, name_of
from segdistill.data.submission import Format, prediction_file, write_prediction
from segdistill.errors import ConfigError, DataError, OverwriteError
from segdistill.files import claim, refuse_shared_names
from segdistill.scoring.evaluator import Result
from segdistill.scoring.evaluator import evaluate as evaluate_network
from segdistill.scoring.inference import predict as predict_probabilities
from segdistill.training.build import open_split
from segdistill.training.events import Note, Progress, Tell, silent
from segdistill.types import Sample, SegDataset


def evaluate(
    run: str | Path | CheckedRun,
    *,
    split: str | None = None,
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> Result:
    """Score the student of a run.

    Classes are compared by name: data that have them in another order are scored rightly, and
    data with a class that the student does not know are refused.

    Args:
        run: a run folder, a safetensors file in it, such as ``checkpoints/best``'s, or what
            ``places.check_run`` returned.
        split: of the run's dataset; the run's own by default.
        scales: averaged; the run's own by default.
        flip: also average the mirrored image; the run's own by default.
        overrides: ``a.b=value`` words on the run's config, such as ``data.root=…``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with the images scored, and where classes are in another order.

    Raises:
        RunFolderError: the folder holds no finished run.
        ConfigError, DataError: from the overrides and the data.
        CheckpointError: a class of the data is none of the student's.
    """
    checked = check_run(run, overrides, trust)
    settings, training = checked.config.evaluation, checked.config.training
    dataset = open_split(checked.config.data, split or settings.split)
    student = load_student(
        checked.files.weights, trust=checked.trust, data_classes=dataset.classes, tell=tell
    )

    def count(index: int, _sample: Sample, _prediction: np.ndarray) -> None:
        tell(Progress("scoring", index + 1, len(dataset), {}))

    return evaluate_network(
        student.network,
        dataset,
        device=pick_device(training.device),
        precision=training.precision,
        scales=settings.scales if scales is None else tuple(scales),
        flip=settings.flip if flip is None else flip,
        window=settings.window,
        on_image=count,
    )


def predict(
    run: str | Path | CheckedRun,
    images: str | Path | Sequence[str | Path] = (),
    out: str | Path = "predictions",
    *,
    split: str | None = None,
    kind: Format = "color",
    recursive: bool = False,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> list[Path]:
    """Write what the student of a run predicts, with the scales and window it was scored with.

    Nothing is written over an input, or over a file that an earlier call did not write.

    Args:
        run: a run folder, a safetensors file that a run wrote, or what ``places.check_run``
            returned.
        images: image files, or folders of them.
        out: folder to write to; made where it is missing.
        split: a split of the run's dataset, in place of images.
        kind: what is written, a key of ``segdistill.data.submission.FORMATS``.
        recursive: also search the folders inside folders; their names are kept.
        overrides: ``a.b=value`` words on the run's config, such as ``data.root=…``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with the images done, and with what is left out of a folder.

    Returns:
        The files written, named as the images.

    Raises:
        DataError: there are no images, or two have one name, and nothing is written; or some
            cannot be read, and the others are written.
        OverwriteError: a file would be lost; nothing is written.
        ConfigError: images and split were given, or neither; or an unknown format.
        RunFolderError: the folder holds no finished run.
        ValueError: a test server's format for a network of other classes.
    """
    given = [Path(each) for each in ([images] if isinstance(images, str | Path) else images)]
    out = Path(out)
    if bool(given) == (split is not None):
        raise ConfigError("predict: expected images or --split, one of them")
    if kind not in get_args(Format):
        raise ConfigError(
            f"predict: expected a format out of {', '.join(get_args(Format))}, got '{kind}'"
        )
    files = run.files if isinstance(run, CheckedRun) else find_run(run)
    # Weights by themselves can predict on images, at their own size.
    if isinstance(run, CheckedRun):
        config: RunConfig | None = run.config
        trust = run.trust
    else:
        config = files.config(overrides) if files.has_config or overrides or split else None
    settings = EvaluationConfig() if config is None else config.evaluation
    if config is not None and split is not None:
        inputs = _samples_of(open_split(config.data, split))
        sources = {file.parent for source in inputs for file in source.files}
    else:
        how = AS_STORED if config is None else pixels_of_config(config.data.settings())
        inputs = _find_images(given, recursive, tell, how)
        sources = {source for source in given if source.is_dir()}
    _refuse_mixing(out, sources, recursive)
    targets = [prediction_file(out, source.name, kind) for source in inputs]
    refuse_shared_names("predict", targets, [source.label for source in inputs])
    claim("predict", targets, reads=[file for source in inputs for file in source.files])
    device = pick_device("auto" if config is None else config.training.device)
    student = load_student(files.weights, trust=trust)
    network = student.network.to(device)
    written, unread = [], []
    for done, source in enumerate(inputs, 1):
        try:
            image = source.read()
        except (DataError, OSError) as error:
            unread.append(str(error))
        else:
            ids = _segment(network, image, settings, device)
            written.append(write_prediction(out, ids, image, source.name, student.classes, kind))
        tell(Progress("predicting", done, len(inputs), {}))
    if unread:
        listed = "".join(f"\n  {error}" for error in unread)
        raise DataError(
            f"predict: expected images, got {len(unread)} of {len(inputs)} that cannot be read; "
            f"{len(written)} predictions are written to {out}:{listed}"
        )
    return written


def _segment(
    network: nn.Module, image: np.ndarray, settings: EvaluationConfig, device: torch.device
) -> np.ndarray:
    """Return the class ids of an image, at its own size."""
    tensor = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)[None]
    with torch.inference_mode():
        probabilities = predict_probabilities(
            network,
            tensor.to(device),
            scales=settings.scales,
            flip=settings.flip,
            window=settings.window,
        )
    ids: np.ndarray = probabilities[0].argmax(dim=0).cpu().numpy()
    return ids


@dataclass(frozen=True)
class _Input:
    """An image to predict on.

    Attributes:
        name: of its prediction, which may hold folders.
        files: what it is read from; none where it has no files of its own.
        read: returns the image.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], np.ndarray]

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.files[0]) if self.files else self.name


def _refuse_mixing(out: Path, sources: Collection[Path], recursive: bool) -> None:
    """Refuse to put predictions among images, where they would be taken for more of them."""
    place = out.resolve()
    above = [folder for folder in (place, *place.parents) if folder.exists()]
    searched = above if recursive else [folder for folder in above if folder == place]
    for source in sources:
        if any(folder.samefile(source) for folder in searched):
            raise OverwriteError(
                f"predict: expected a folder for predictions alone, got {out} among the images of "
                f"{source}; choose another --out"
            )


def _samples_of(dataset: SegDataset) -> list[_Input]:
    return [
        _Input(
            name_of(dataset, index),
            tuple(files_of(dataset, index)),
            partial(_image_of, dataset, index),
        )
        for index in range(len(dataset))
    ]


def _image_of(dataset: SegDataset, index: int) -> np.ndarray:
    return dataset[index].image


def _find_images(sources: Sequence[Path], recursive: bool, tell: Tell, how: Pixels) -> list[_Input]:
    found: dict[tuple[str, str], _Input] = {}
    for source in sources:
        if not source.exists():
            raise DataError(f"predict: expected an image or a folder at {source}, got none")
        folder = source if source.is_dir() else source.parent
        for file in _search(source, recursive, tell) if source.is_dir() else [source]:
            name = file.relative_to(folder).with_suffix("").as_posix()
            # The same file, named and in a folder, is one image.
            found[name, os.path.abspath(file)] = _Input(
                name, (file,), partial(read_image, file, how)
            )
    if not found:
        raise DataError(
            f"predict: expected images, got none in {', '.join(map(str, sources))}; "
            "--recursive searches the folders inside"
        )
    return list(found.values())


def _search(
    folder: Path, recursive: bool, tell: Tell, above: frozenset[str] = frozenset()
) -> list[Path]:
    """Return the image files of a folder, and say what is left out."""
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that it is in
        return []
    folders, images, others = list[Path](), list[Path](), list[Path]()
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            group = folders
        else:
            group = images if entry.suffix.lower() in IMAGE_SUFFIXES else others
        if not entry.name.startswith("."):
            group.append(entry)
    if others:
        tell(Note(f"{folder}: files without the suffix of an image are left out: {_some(others)}"))
    if recursive:
        for inner in folders:
            images += _search(inner, recursive, tell, above | {real})
    elif folders:
        tell(
            Note(f"{folder}: folders inside are not searched without --recursive: {_some(folders)}")
        )
    return images


def _some(entries: Sequence[Path]) -> str:
    names = ", ".join(entry.name for entry in entries[:_NAMED])
    return f"{names} and {len(entries) - _NAMED} more" if len(entries) > _NAMED else names


_NAMED = 5
