"""Predictions are made the way that the run was scored."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdistill.api.evaluate import evaluate
from segdistill.api.load import load
from segdistill.api.predict import predict
from segdistill.data.formats.scenes import scenes
from segdistill.data.pictures import colorize
from segdistill.errors import ConfigError, DataError
from segdistill.memory import Peak
from segdistill.scoring.inference import predict as probabilities


def test_a_prediction_has_the_runs_scales_and_flip(run: Path, tmp_path: Path) -> None:
    sample = scenes(split="val", size=(48, 64), val_images=3)[0]
    Image.fromarray(sample.image).save(tmp_path / "a.png")
    (written,) = predict(run, [tmp_path / "a.png"], tmp_path / "masks")
    loaded = load(run)
    image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
    with torch.inference_mode():
        shares = probabilities(loaded.network, image, scales=(0.5,), flip=True)
    expected = colorize(shares[0].argmax(dim=0).numpy(), loaded.classes)
    assert np.array_equal(np.asarray(Image.open(written)), expected)


def test_paths_may_be_strings(run: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    sample = scenes(split="val", size=(48, 64), val_images=3)[0]
    Image.fromarray(sample.image).save(tmp_path / "photos" / "a.png")
    folder, out = str(tmp_path / "photos"), str(tmp_path / "masks")
    for images in (folder, [folder], [f"{folder}/a.png"]):
        assert predict(str(run), images, out) == [tmp_path / "masks" / "a.png"]


def test_a_split_gives_the_masks_that_the_score_was_made_of(run: Path, tmp_path: Path) -> None:
    written = predict(run, out=tmp_path, split="val")
    dataset = scenes(split="val", size=(48, 64), val_images=3)
    colors = np.array(dataset.classes.colors)
    right = total = 0
    for file, index in zip(written, range(3), strict=True):
        picture = np.asarray(Image.open(file))
        assert file.stem == dataset[index].name
        ids = (picture[:, :, None] == colors).all(axis=3).argmax(axis=2)
        right += int((ids == dataset[index].mask).sum())
        total += ids.size
    assert evaluate(run).scores.pixel_accuracy == right / total


def test_an_image_that_memory_cannot_hold_is_refused_and_the_others_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdistill.api.prediction._LARGE", 200 * 300)
    monkeypatch.setattr("segdistill.api.prediction._SIDES", (32, 64, 128))
    peaks = iter([Peak(0.0), Peak(1.0), Peak(4.0)] * 2)
    monkeypatch.setattr(
        "segdistill.api.prediction.peak_memory", lambda device: nullcontext(next(peaks))
    )
    (tmp_path / "photos").mkdir()
    for name, size in (("large", (300, 200)), ("small", (64, 48))):
        Image.new("RGB", size).save(tmp_path / f"photos/{name}.png")
    # 1 MiB for each 4096 pixels: 60 000 need 14.6 MiB.
    monkeypatch.setattr("segdistill.api.prediction.free_memory", lambda device: 14.0)
    message = r"large.png: .*the 14 MiB .*got 300×200, which needs about 15 MiB.*window=\[512,512\]"
    with pytest.raises(DataError, match=message):
        predict(run, tmp_path / "photos", tmp_path / "masks")
    assert [file.name for file in (tmp_path / "masks").glob("*.png")] == ["small.png"]
    monkeypatch.setattr("segdistill.api.prediction.free_memory", lambda device: 15.0)
    assert len(predict(run, tmp_path / "photos", tmp_path / "masks")) == 2


def test_labels_for_images_without_masks_leave_out_what_is_uncertain(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    sample = scenes(split="val", size=(48, 64), val_images=3)[0]
    Image.fromarray(sample.image).save(tmp_path / "photos" / "a.png")
    loaded = load(run)
    image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
    with torch.inference_mode():
        best = probabilities(loaded.network, image, scales=(0.5,), flip=True)[0].max(dim=0)
    middle = best.values.median().item()
    pattern = tmp_path / "photos" / "*.png"
    (written,) = predict(run, pattern, tmp_path / "masks", kind="ids", confidence=middle)
    expected = np.where(best.values < middle, 255, best.indices)
    assert 0 < (expected == 255).mean() < 1
    with Image.open(written) as picture:
        assert (picture.mode, np.array_equal(np.asarray(picture), expected)) == ("P", True)
    with pytest.raises(ConfigError, match="with the format ids or coco, got 0"):
        predict(run, pattern, tmp_path / "masks", confidence=0.5)
