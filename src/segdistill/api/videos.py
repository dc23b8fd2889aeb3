"""Prediction on a video or a camera: frame after frame, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from segdistill.catalogue.predictions import Format
from segdistill.data.pictures import colorize
from segdistill.data.submission import overlay, prediction_file, write_prediction
from segdistill.data.video import find_av, is_camera, open_video, write_video
from segdistill.errors import ConfigError, DataError
from segdistill.files import claim, move_whole, temporary_folder
from segdistill.training.events import Progress, Tell
from segdistill.types import Classes

_Add = Callable[[np.ndarray, np.ndarray], None]

_BLOCK = 500  # frames whose files are claimed at once
_MOVING: tuple[Format, ...] = ("color", "overlay")
_EACH: tuple[Format, ...] = ("ids", "coco")


def check_videos(sources: Sequence[Path], kind: Format, frames: int | None) -> None:
    """Refuse what cannot be done with videos.

    Raises:
        ConfigError: av is not installed, the format is a test server's, or frames are counted
            where there is no video.
        DataError: a file is missing.
    """
    if not sources and frames is not None:
        raise ConfigError("predict: expected a video or a camera for --frames, got none")
    if not sources:
        return
    find_av("predict")
    for source in sources:
        if not (is_camera(source) or source.is_file()):
            raise DataError(f"predict: expected a video at {source}, got none")
    if kind not in (*_MOVING, *_EACH):
        raise ConfigError(
            f"predict: expected {', '.join((*_MOVING, *_EACH))} for a video, got {kind}, which is "
            "of a test server's images; choose another --format"
        )


def video_target(out: Path, source: Path, kind: Format) -> Path:
    """Return the video that is written of a source, or the folder for its frames."""
    return out / f"{video_name(source)}{'' if kind in _EACH else '.mp4'}"


def video_name(source: Path) -> str:
    """Return what files of a source are called."""
    return str(source).replace(":", "-") if is_camera(source) else source.stem


def predict_video(
    source: Path,
    out: Path,
    kind: Format,
    classes: Classes,
    segment: Callable[[np.ndarray], np.ndarray],
    *,
    frames: int | None,
    tell: Tell,
) -> list[Path]:
    """Write what is predicted on each frame: one video of pictures, or a file for each frame.

    A camera is read until Ctrl-C, or for as many frames as were asked for.

    Args:
        source: a video file, or ``camera:0``.
        out: folder to write to.
        kind: ``color`` or ``overlay`` for a video, ``ids`` or ``coco`` for files named by the
            number of the frame, in a folder named as the video.
        classes: of the network.
        segment: from an image to its class ids.
        frames: the most that are read; all by default.
        tell: called with the frames done.

    Raises:
        DataError: the video cannot be decoded, or there is no such camera.
        OverwriteError: a file would be lost.
    """
    files: list[Path] = []
    with open_video("predict", source) as video:
        total = min(video.count or frames or 0, frames or video.count)
        sink = (
            _one_file_a_frame(source, out, kind, classes, files)
            if kind in _EACH
            else _one_video(video_target(out, source, kind), video.rate, kind, classes, files)
        )
        with sink as add, _ended_by_hand(source):
            for done, image in enumerate(islice(video.frames, frames), 1):
                add(image, segment(image))
                # Of a stream without an end one more is always to come.
                tell(Progress(f"predicting {source}", done, total or done + 1, {}))
    return files


@contextmanager
def _one_video(
    target: Path, rate: Fraction, kind: Format, classes: Classes, files: list[Path]
) -> Iterator[_Add]:
    """Yield what adds a frame to a video, which gets its name when all are there."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def add(image: np.ndarray, ids: np.ndarray) -> None:
        drawn = overlay(image, ids, classes) if kind == "overlay" else colorize(ids, classes)
        writer.add(drawn)

    with temporary_folder(target) as folder:
        draft = folder / target.name
        with write_video("predict", draft, rate) as writer:
            yield add
        move_whole(draft, target, made_by="predict")
    files.append(target)


@contextmanager
def _one_file_a_frame(
    source: Path, out: Path, kind: Format, classes: Classes, files: list[Path]
) -> Iterator[_Add]:
    """Yield what writes a frame, named by its number, to the video's own folder."""

    def name(number: int) -> str:
        return f"{video_name(source)}/{number:06d}"

    def add(image: np.ndarray, ids: np.ndarray) -> None:
        number = len(files) + 1
        if number % _BLOCK == 1:
            block = [prediction_file(out, name(number + more), kind) for more in range(_BLOCK)]
            claim("predict", block)
        files.append(write_prediction(out, ids, image, name(number), classes, kind))

    yield add


@contextmanager
def _ended_by_hand(source: Path) -> Iterator[None]:
    """Take Ctrl-C for the end of a camera's pictures."""
    try:
        yield
    except KeyboardInterrupt:
        if not is_camera(source):
            raise
