"""Use a trained student: score it on a split, or write what it predicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from segdistill.api.places import CheckedRun, find_run
from segdistill.api.saved import load_run, load_student, pick_device
from segdistill.config import EvaluationConfig, RunConfig
from segdistill.data.files.reading import IMAGE_SUFFIXES, read_image
from segdistill.data.submission import Format, write_prediction
from segdistill.errors import ConfigError, DataError
from segdistill.scoring.evaluator import Result
from segdistill.scoring.evaluator import evaluate as evaluate_network
from segdistill.scoring.inference import predict as predict_probabilities
from segdistill.training.build import open_split
from segdistill.training.events import Progress, Tell, silent
from segdistill.types import Sample, SegDataset


def evaluate(
    run: str | Path | CheckedRun,
    *,
    split: str | None = None,
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    overrides: Sequence[str] = (),
    tell: Tell = silent,
) -> Result:
    """Score the student of a run.

    Args:
        run: a run folder, a safetensors file in it, such as ``checkpoints/best``'s, or what
            ``places.check_run`` returned.
        split: of the run's dataset; the run's own by default.
        scales: averaged; the run's own by default.
        flip: also average the mirrored image; the run's own by default.
        overrides: ``a.b=value`` words on the run's config, such as ``data.root=…``.
        tell: called with the images scored.

    Raises:
        RunFolderError: the folder holds no finished run.
        ConfigError, DataError: from the overrides and the data.
    """
    loaded = load_run(run, overrides=overrides)
    settings = loaded.config.evaluation
    dataset = open_split(loaded.config.data, split or settings.split)

    def count(index: int, _sample: Sample, _prediction: np.ndarray) -> None:
        tell(Progress("scoring", index + 1, len(dataset), {}))

    return evaluate_network(
        loaded.network,
        dataset,
        device=pick_device(loaded.config.training.device),
        precision=loaded.config.training.precision,
        scales=settings.scales if scales is None else tuple(scales),
        flip=settings.flip if flip is None else flip,
        window=settings.window,
        on_image=count,
    )


def predict(
    run: str | Path | CheckedRun,
    images: Sequence[Path] = (),
    out: Path = Path("predictions"),
    *,
    split: str | None = None,
    kind: Format = "color",
    overrides: Sequence[str] = (),
    tell: Tell = silent,
) -> list[Path]:
    """Write what the student of a run predicts, with the scales and window it was scored with.

    Args:
        run: a run folder, a safetensors file that a run wrote, or what ``places.check_run``
            returned.
        images: image files, or folders of them.
        out: folder to write to; made where it is missing.
        split: a split of the run's dataset, in place of images.
        kind: what is written, a key of ``segdistill.data.submission.FORMATS``.
        overrides: ``a.b=value`` words on the run's config, such as ``data.root=…``.
        tell: called with the images done.

    Returns:
        The files written, named as the images.

    Raises:
        DataError: an image cannot be read, or two have one name.
        ConfigError: images and split were given, or neither; or an unknown format.
        RunFolderError: the folder holds no finished run.
        ValueError: a test server's format for a network of other classes.
    """
    if bool(images) == (split is not None):
        raise ConfigError("predict: expected images or --split, one of them")
    if kind not in get_args(Format):
        raise ConfigError(
            f"predict: expected a format out of {', '.join(get_args(Format))}, got '{kind}'"
        )
    files = run.files if isinstance(run, CheckedRun) else find_run(run)
    # Weights by themselves can predict on images, at their own size.
    if isinstance(run, CheckedRun):
        config: RunConfig | None = run.config
    else:
        config = files.config(overrides) if files.has_config or overrides or split else None
    settings = EvaluationConfig() if config is None else config.evaluation
    source: SegDataset | list[Path]
    if config is not None and split is not None:
        source = open_split(config.data, split)
    else:
        source = _find_images(images)
    device = pick_device("auto" if config is None else config.training.device)
    student = load_student(files.weights)
    network = student.network.to(device)
    written = []
    for image, name in _read(source):
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            probabilities = predict_probabilities(
                network,
                tensor.to(device),
                scales=settings.scales,
                flip=settings.flip,
                window=settings.window,
            )
        ids = probabilities[0].argmax(dim=0).cpu().numpy()
        written.append(write_prediction(out, ids, image, name, student.classes, kind))
        tell(Progress("predicting", len(written), len(source), {}))
    return written


def _read(source: SegDataset | list[Path]) -> Iterator[tuple[np.ndarray, str]]:
    if isinstance(source, list):
        for file in source:
            yield read_image(file), file.stem
        return
    for index in range(len(source)):
        sample = source[index]
        yield sample.image, sample.name


def _find_images(sources: Sequence[Path]) -> list[Path]:
    files = []
    for source in sources:
        if not source.exists():
            raise DataError(f"predict: expected an image or a folder at {source}, got none")
        inside = sorted(source.iterdir()) if source.is_dir() else [source]
        shown = [file for file in inside if not file.name.startswith(".")]
        files += [file for file in shown if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise DataError(f"predict: expected images, got none in {', '.join(map(str, sources))}")
    names = [file.stem for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"predict: expected different names, got {', '.join(twice)} twice")
    return files
