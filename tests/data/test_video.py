"""Videos: frames come back as they were written, and what is none is said in one line."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from segdistill.data.video import is_camera, is_video, open_video, write_video
from segdistill.errors import DataError

av = pytest.importorskip("av")

GREYS = (40, 120, 200)


def write(file: Path, size: tuple[int, int] = (33, 47)) -> Path:
    with write_video("test", file, Fraction(10)) as writer:
        for grey in GREYS:
            writer.add(np.full((*size, 3), grey, np.uint8))
    return file


def test_frames_are_read_one_after_the_other(tmp_path: Path) -> None:
    with open_video("test", write(tmp_path / "a.mp4")) as video:
        assert (video.rate, video.count) == (10, 3)
        frames = list(video.frames)
    assert [frame.shape for frame in frames] == [(34, 48, 3)] * 3  # even, as players want it
    assert [float(frame.mean()) for frame in frames] == pytest.approx(GREYS, abs=3)


def test_words_that_name_videos_and_cameras() -> None:
    assert is_video(Path("a/b.MP4"))
    assert is_camera(Path("camera:0"))
    assert is_video(Path("camera:12"))
    assert not is_video(Path("a.png"))
    assert not is_camera(Path("camera:"))


def test_what_does_not_decode_is_said_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"no video" * 100)
    with (
        pytest.raises(DataError, match=r"a\.mp4: expected a video that FFmpeg decodes, got: inv"),
        open_video("test", broken),
    ):
        pass
    with pytest.raises(FileNotFoundError, match="got none"), open_video("test", tmp_path / "b.mp4"):
        pass
    with (
        pytest.raises(DataError, match=r"camera:97: expected a camera at /dev/video97, got: no su"),
        open_video("test", Path("camera:97")),
    ):
        pass


def test_an_error_in_the_middle_says_after_which_frame(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.mp4", (480, 640))
    raw = bytearray(whole.read_bytes())
    start = raw.index(b"mdat") + 4
    raw[start : start + 40] = bytes(40)
    whole.write_bytes(bytes(raw))
    with (
        pytest.raises(DataError, match=r"got an error after frame|got one without frames"),
        open_video("test", whole) as video,
    ):
        list(video.frames)


def test_a_phones_video_is_read_upright(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    left = np.zeros((48, 64, 3), np.uint8)
    left[:, :32] = 200
    with write_video("test", file, Fraction(10)) as writer:
        writer.add(left)
    one, none, last = (value.to_bytes(4, "big") for value in (1 << 16, 0, 1 << 30))
    less = (-(1 << 16)).to_bytes(4, "big", signed=True)
    upright = b"".join((one, none, none, none, one, none, none, none, last))
    turned = b"".join((none, one, none, less, none, none, none, none, last))  # clockwise
    raw = file.read_bytes()
    header = raw.index(b"tkhd")  # how the track is to be shown
    file.write_bytes(raw[:header] + raw[header:].replace(upright, turned, 1))
    with open_video("test", file) as video:
        (frame,) = video.frames
    assert frame.shape == (64, 48, 3)
    assert frame[:24].mean() > 190  # what lay at the left is above
    assert frame[40:].mean() < 10
