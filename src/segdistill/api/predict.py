"""Predict: masks for images, as pictures or for a test server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from segdistill.api.images import expand, find_images, images_of_split, refuse_mixing
from segdistill.api.load import Student, load_exported, mapped_classes
from segdistill.api.prediction import segment
from segdistill.api.videos import check_videos, predict_video, video_target
from segdistill.catalogue.predictions import UNSURE, Format
from segdistill.config import EvaluationConfig
from segdistill.data.files.pixels import AS_STORED, pixels_of_config
from segdistill.data.submission import prediction_file, server_classes, write_prediction
from segdistill.data.video import is_video
from segdistill.errors import ConfigError, DataError
from segdistill.files import claim, expand_path, refuse_shared_names
from segdistill.training.build import open_split
from segdistill.training.events import Progress, Tell, silent
from segdistill.training.finished_run import CheckedRun, check_run, find_run
from segdistill.training.pick_device import pick_device
from segdistill.training.trained_student import load_student
from segdistill.types import Classes


def predict(
    run: str | Path | CheckedRun,
    images: str | Path | Sequence[str | Path] = (),
    out: str | Path = "predictions",
    *,
    split: str | None = None,
    kind: Format = "color",
    recursive: bool = False,
    confidence: float = 0.0,
    frames: int | None = None,
    classes: Classes | None = None,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> list[Path]:
    """Write the predictions of a run's student, with the scales and window of its scoring.

    Inputs are never overwritten, nor are files that an earlier call did not write.

    Example::

        segdistill.predict("runs/student-1", "photos", "masks", kind="overlay")

    Args:
        run: a run folder, a safetensors file written by a run, an exported file, or a result of
            ``training.finished_run.check_run``.
        images: image files, folders of them, patterns such as ``photos/*.jpg``, video files, and
            ``camera:0``, which is read until Ctrl-C.
        out: folder to write to; made if it does not exist.
        split: a split of the run's dataset, instead of images.
        kind: format of the predictions, a key of ``segdistill.catalogue.predictions.FORMATS``.
            For a video, ``color`` and ``overlay`` give a video, ``ids`` and ``coco`` a file per
            frame.
        confidence: minimum probability in [0, 1); pixels below it become 255, which only
            the kinds ``ids`` and ``coco`` can represent, as for labels of images without masks.
        frames: maximum number of frames to read of a video or camera.
        recursive: also search subfolders; their names are kept.
        classes: classes of an exported file whose metadata do not list them.
        overrides: overrides ``a.b=value`` of the run's config, such as ``data.root=…``; with
            ``student.class_map=[car, null, sky]`` the classes of the run's data are predicted.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with progress, and with what is left out of a folder.

    Returns:
        The files written, named like the images.

    Raises:
        DataError: there are no images, or two have the same name, and nothing is written; or some
            cannot be read, or do not fit into memory, and the others are written.
        OverwriteError: a file would be lost; nothing is written.
        ConfigError: images and split were both given, or neither, or the format is unknown.
        RunFolderError: the folder contains no finished run.
        CheckpointError: the format of a test server needs a class that the student does not know.
    """
    given = [expand_path(name) for name in ([images] if isinstance(images, str | Path) else images)]
    out = Path(out)
    if bool(given) == (split is not None):
        raise ConfigError("predict: expected either images or --split")
    if kind not in get_args(Format):
        raise ConfigError(
            f"predict: expected one of the formats {', '.join(get_args(Format))}, got '{kind}'"
        )
    if not 0 <= confidence < 1 or (confidence and kind not in UNSURE):
        raise ConfigError(
            f"predict: expected a confidence in [0, 1) with the format {' or '.join(UNSURE)}, got "
            f"{confidence} with {kind}; add --format {UNSURE[0]}"
        )
    films = [source for source in expand(given) if is_video(source)]
    check_videos(films, kind, frames)
    exported = (
        None if isinstance(run, CheckedRun) else load_exported(run, classes=classes, trust=trust)
    )
    if exported is not None and (split is not None or overrides):
        raise ConfigError(
            f"predict: expected images for {run}, which belongs to no dataset, got "
            f"{'--split' if split is not None else ' '.join(overrides)}; name files or folders"
        )
    # Like exported files, separate weights can predict on images at their own size.
    checked: CheckedRun | None = None
    if isinstance(run, CheckedRun):
        checked = run
    elif exported is None:
        files = find_run(run)
        if files.has_config or overrides or split:
            checked = check_run(run, overrides, trust)
    config = None
    if checked is not None:
        files, config, trust = checked.files, checked.config, checked.trust
    settings = EvaluationConfig() if config is None else config.evaluation
    if config is not None and split is not None:
        inputs = images_of_split(open_split(config.data, split))
        sources = {file.parent for source in inputs for file in source.files}
    else:
        how = AS_STORED if config is None else pixels_of_config(config.data.settings())
        others = [source for source in expand(given) if source not in films]
        inputs = find_images(others, recursive, tell, how) if others else []
        sources = {source for source in others if source.is_dir()}
    refuse_mixing(out, sources, recursive)
    targets = [prediction_file(out, source.name, kind) for source in inputs]
    targets += [video_target(out, source, kind) for source in films]
    refuse_shared_names("predict", targets, [*(each.label for each in inputs), *map(str, films)])
    read = [file for source in inputs for file in source.files]
    # Frames are claimed by and by: nobody knows how many there are.
    claim("predict", [each for each in targets if each.suffix], reads=[*read, *films])
    student = exported
    if student is None:
        mapped = None if checked is None else mapped_classes(checked)
        trained = load_student(
            files.weights,
            trust=trust,
            data_classes=server_classes(kind) or mapped,
            class_map=None if checked is None else checked.class_map,
            tell=tell,
        )
        student = Student(*trained)
        student.network.to(pick_device("auto" if config is None else config.training.device))
    written, unread = [], []
    for done, source in enumerate(inputs, 1):
        try:
            image = source.read()
            ids = segment(student.network, image, settings, confidence=confidence)
        except (DataError, OSError) as error:
            said = str(error)
            unread.append(said if source.label in said else f"{source.label}: {said}")
        else:
            written.append(
                write_prediction(
                    out,
                    ids,
                    image,
                    source.name,
                    student.classes,
                    kind,
                    file_name=Path(source.label).name,
                )
            )
        tell(Progress("predicting", done, len(inputs), {}))
    for film in films:
        try:
            written += predict_video(
                film,
                out,
                kind,
                student.classes,
                lambda image: segment(student.network, image, settings, confidence=confidence),
                frames=frames,
                tell=tell,
            )
        except DataError as error:
            unread.append(str(error))
    if unread:
        listed = "".join(f"\n  {error}" for error in unread)
        raise DataError(
            f"predict: expected a prediction of each image, got none for {len(unread)} of "
            f"{len(inputs) + len(films)}; {len(written)} predictions were written to {out}:{listed}"
        )
    return written
