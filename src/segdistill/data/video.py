"""Videos and cameras: frames one after the other, in flat memory, read and written by FFmpeg."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from segdistill.errors import ConfigError, DataError

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
"""How the names of videos end, in lower case."""

_CAMERA = re.compile(r"camera:(\d+)")
_USUAL_RATE = Fraction(25)  # frames per second of a stream that does not tell
_MOST_RATE = 240  # more is a stream that counts something else


@dataclass(frozen=True)
class Video:
    """An opened video.

    Attributes:
        frames: RGB, uint8 ``(H, W, 3)``, upright; each is read when it is asked for.
        rate: frames per second.
        count: of the frames as the file tells, 0 where it does not.
    """

    frames: Iterator[np.ndarray]
    rate: Fraction
    count: int


def is_video(source: Path) -> bool:
    """Return whether a word names a video file or a camera."""
    return source.suffix.lower() in VIDEO_SUFFIXES or is_camera(source)


def is_camera(source: Path) -> bool:
    """Return whether a word names a camera: ``camera:0``."""
    return _CAMERA.fullmatch(str(source)) is not None


@contextmanager
def open_video(who: str, source: Path) -> Iterator[Video]:
    """Open a video file, or a camera.

    Args:
        who: first word of a message about what is missing.
        source: the file, or ``camera:0`` for the first camera.

    Raises:
        ConfigError: the package av is not installed.
        DataError: there is no such camera, or no video that can be decoded; for a frame in the
            middle when it is asked for.
        FileNotFoundError: there is no such file.
    """
    av = find_av(who)
    place, format, expected = str(source), None, "a video that FFmpeg decodes"
    if is_camera(source):
        place, format = _device(str(source).partition(":")[2])
        expected = f"a camera at {place}"
    elif not source.is_file():
        raise FileNotFoundError(f"{source}: expected a video, got none; check the path")
    try:
        container = av.open(place, format=format)
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(f"{source}: expected {expected}, got: {_reason(error)}") from None
    with container:
        if not container.streams.video:
            raise DataError(f"{source}: expected {expected}, got a file without pictures")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = stream.average_rate
        if rate is None or not 0 < rate <= _MOST_RATE:
            rate = _USUAL_RATE
        yield Video(_frames(av, container, stream, source), rate, stream.frames or 0)


def _frames(av: ModuleType, container: Any, stream: Any, source: Path) -> Iterator[np.ndarray]:
    number = 0
    try:
        for frame in container.decode(stream):
            number += 1
            upright = np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90))
            yield np.ascontiguousarray(upright)
    except av.error.FFmpegError as error:
        raise DataError(
            f"{source}: expected a video that FFmpeg decodes, got an error after frame {number}: "
            f"{_reason(error)}"
        ) from None
    if not number:
        raise DataError(f"{source}: expected a video that FFmpeg decodes, got one without frames")


class VideoWriter:
    """Frames of one size; see :func:`write_video`.

    Args:
        av: PyAV.
        container: of the file.
        rate: frames per second.
    """

    def __init__(self, av: ModuleType, container: Any, rate: Fraction) -> None:
        self.av, self.container, self.rate = av, container, rate
        self.stream: Any = None  # of the first frame's size

    def add(self, frame: np.ndarray) -> None:
        """Write one frame, uint8 RGB ``(H, W, 3)``."""
        height, width = frame.shape[:2]
        # Colour has half the size in the form that every player takes.
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self.stream is None:
            self.stream = self.container.add_stream("libx264", rate=self.rate)
            self.stream.height, self.stream.width = even.shape[:2]
            self.stream.pix_fmt = "yuv420p"
        picture = self.av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        self.container.mux(self.stream.encode(picture))


@contextmanager
def write_video(who: str, file: Path, rate: Fraction) -> Iterator[VideoWriter]:
    """Open a video to be written, H.264 in MP4; it is whole when the block ends.

    Args:
        who: first word of a message about what is missing.
        file: where to; its name ends in ``.mp4``.
        rate: frames per second.

    Raises:
        ConfigError: the package av is not installed.
    """
    av = find_av(who)
    with av.open(str(file), "w", format="mp4") as container:
        writer = VideoWriter(av, container, rate)
        yield writer
        if writer.stream is not None:
            container.mux(writer.stream.encode())


def _device(number: str) -> tuple[str, str]:
    """Return a camera's place, and how FFmpeg reads it, on this system."""
    if platform.system() == "Linux":
        return f"/dev/video{number}", "v4l2"
    if platform.system() == "Darwin":
        return number, "avfoundation"
    raise ConfigError(
        f"camera:{number}: expected Linux or macOS, got {platform.system()}; record a video, and "
        "name its file"
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().lower()


def find_av(who: str) -> ModuleType:
    """Return PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
        import av.error
        import av.logging
    except ImportError as error:
        raise ConfigError(
            f"{who}: expected the package av for videos, got none; pip install 'segdistill[video]'"
        ) from error
    av.logging.set_level(None)  # what fails is raised
    module: ModuleType = av
    return module
