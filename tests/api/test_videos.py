"""A video is predicted frame by frame, as a video or as files."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.api.load import load
from segdistill.api.predict import predict
from segdistill.data.video import open_video, write_video
from segdistill.errors import ConfigError, DataError, OverwriteError

pytest.importorskip("av")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.mp4"
    with write_video("test", file, Fraction(5)) as writer:
        for shade in (30, 120, 210):
            writer.add(np.full((48, 64, 3), shade, np.uint8))
    return file


def test_pictures_become_a_video(run: Path, clip: Path, tmp_path: Path) -> None:
    for _ in range(2):  # a call can be repeated
        assert predict(run, clip, tmp_path / "out", kind="color") == [tmp_path / "out" / "clip.mp4"]
    with open_video("test", tmp_path / "out" / "clip.mp4") as video:
        assert video.rate == 5
        assert [frame.shape for frame in video.frames] == [(48, 64, 3)] * 3
    assert not list((tmp_path / "out").glob(".unfinished*"))
    with pytest.raises(OverwriteError, match=r"got .*clip\.mp4"):
        predict(run, clip, tmp_path, kind="color")


def test_ids_are_a_file_for_each_frame(run: Path, clip: Path, tmp_path: Path) -> None:
    written = predict(run, clip, tmp_path / "out", kind="ids", frames=2)
    assert written == [tmp_path / "out" / "clip" / f"00000{number}.png" for number in (1, 2)]
    with open_video("test", clip) as video:
        expected = load(run).predict(next(video.frames)).mask
    assert np.array_equal(np.asarray(Image.open(written[0])), expected)


def test_what_cannot_be_read_is_told_at_the_end(run: Path, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mov").write_bytes(b"no video" * 100)
    given = [tmp_path / "broken.mov", "camera:97", clip]
    with pytest.raises(DataError, match="got none for 2 of 3; 1 predictions") as said:
        predict(run, given, tmp_path / "out", kind="overlay")
    assert "camera:97: expected a camera at /dev/video97" in str(said.value)
    assert (tmp_path / "out" / "clip.mp4").is_file()


def test_wrong_words_are_refused_before_anything_is_read(
    run: Path, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="overlay, ids, coco for a video, got voc"):
        predict(run, clip, kind="voc")
    with pytest.raises(ConfigError, match="expected a video or a camera for --frames"):
        predict(run, "a.png", frames=3)
    with pytest.raises(DataError, match=r"expected a video at .*gone\.mp4, got none"):
        predict(run, tmp_path / "gone.mp4")
