"""Evaluation of a whole dataset: the counts of an image by image loop, in any setting."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.data.carving import Subset
from segdistill.errors import DataError
from segdistill.scoring.evaluator import evaluate, join
from segdistill.scoring.inference import predict
from segdistill.types import Sample, SegOutput

from .counts import confusion_matrix
from .networks import CLASSES, Drawn, Pixelwise, Strided

MIXED = [(8, 12), (8, 12), (8, 12), (12, 8), (9, 9), (8, 12)]


def tensors(sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    assert sample.mask is not None
    image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
    return image, torch.from_numpy(sample.mask)


@pytest.mark.parametrize("settings", [{}, {"scales": (0.5, 1.0), "flip": True}, {"window": (6, 6)}])
def test_counts_what_a_loop_over_the_images_counts(settings: dict[str, object]) -> None:
    network, dataset = Strided().eval(), Drawn(MIXED)
    expected = torch.zeros(3, 3, dtype=torch.int64)
    for sample in dataset.samples:
        image, mask = tensors(sample)
        with torch.no_grad():
            prediction = predict(network, image, **settings).argmax(dim=1)[0]  # type: ignore[arg-type]
        expected += confusion_matrix(prediction, mask, classes=3)
    result = evaluate(network, dataset, **settings)  # type: ignore[arg-type]
    assert_close(result.counts, expected)
    assert result.images == len(MIXED)
    assert result.pixels == int(expected.sum())
    assert result.seconds > 0


def test_parts_that_are_joined_are_the_whole() -> None:
    network, dataset = Pixelwise().eval(), Drawn(MIXED)
    whole = evaluate(network, dataset, keep_images=True, further=True)
    parts = [range(2), range(2, 3), range(3, len(MIXED))]
    joined = join(
        [evaluate(network, Subset(dataset, part), keep_images=True, further=True) for part in parts]
    )
    assert joined.scores == whole.scores
    assert joined.image_names == whole.image_names
    assert joined.image_counts is not None
    assert whole.image_counts is not None
    assert torch.equal(joined.image_counts, whole.image_counts)
    assert joined.boundary_iou == whole.boundary_iou
    assert joined.calibration_error == pytest.approx(whole.calibration_error, abs=1e-12)
    assert (joined.images, joined.pixels) == (whole.images, whole.pixels)


def test_miou_equals_sklearn_over_the_pixels_of_all_images() -> None:
    network, dataset = Pixelwise().eval(), Drawn(MIXED)
    truth, guess = [], []
    for sample in dataset.samples:
        image, mask = tensors(sample)
        with torch.no_grad():
            prediction = predict(network, image).argmax(dim=1)[0]
        truth.append(mask[mask != 255].numpy())
        guess.append(prediction[mask != 255].numpy())
    expected = sklearn.metrics.jaccard_score(
        np.concatenate(truth), np.concatenate(guess), average="macro"
    )
    assert evaluate(network, dataset).scores.miou == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_workers_and_batch_size_change_nothing(workers: int, batch_size: int) -> None:
    network, dataset = Strided(), Drawn(MIXED * 3)
    expected = evaluate(network, dataset, workers=0, batch_size=4, keep_images=True)
    found = evaluate(network, dataset, workers=workers, batch_size=batch_size, keep_images=True)
    assert_close(found.image_counts, expected.image_counts)
    assert found.image_names == expected.image_names == tuple(s.name for s in dataset.samples)
    assert found.image_counts is not None
    assert_close(found.image_counts.sum(dim=0), found.counts)


def test_images_reach_the_callback_in_order_with_their_prediction() -> None:
    network, dataset, seen = Strided().eval(), Drawn(MIXED), []

    def on_image(index: int, sample: Sample, prediction: np.ndarray) -> None:
        image, _ = tensors(sample)
        with torch.no_grad():
            expected = predict(network, image).argmax(dim=1)[0]
        assert prediction.dtype == np.uint8
        assert np.array_equal(prediction, expected.numpy())
        seen.append((index, sample.name))

    evaluate(network, dataset, on_image=on_image)
    assert seen == [(i, f"image{i}") for i in range(len(MIXED))]


@pytest.mark.parametrize("settings", [{}, {"flip": True}])
def test_logits_of_every_view_are_resized_to_a_larger_mask(settings: dict[str, bool]) -> None:
    network, dataset = Strided().eval(), Drawn([(8, 12)])
    sample = dataset.samples[0]
    assert sample.mask is not None
    larger = np.random.default_rng(1).integers(3, size=(20, 30), dtype=np.uint8)
    dataset.samples[0] = sample._replace(mask=larger)
    image, mask = tensors(dataset.samples[0])
    with torch.no_grad():
        prediction = predict(network, image, size=(20, 30), **settings).argmax(dim=1)[0]
    expected = confusion_matrix(prediction, mask, classes=3)
    assert_close(evaluate(network, dataset, **settings).counts, expected)


def test_a_network_in_training_is_scored_in_eval_mode() -> None:
    network, dataset = Pixelwise(), Drawn(MIXED)
    network.norm.running_mean[:] = torch.tensor([3.0, -2.0, 0.5])
    expected = evaluate(network.eval(), dataset).counts
    assert_close(evaluate(network.train(), dataset).counts, expected)


def test_equal_neighbours_share_a_batch_and_large_images_do_not() -> None:
    network = Pixelwise()
    evaluate(network, Drawn([(8, 12)] * 5 + [(9, 9)]), batch_size=4)
    assert [shape[0] for shape in network.seen] == [4, 1, 1]
    network = Pixelwise()
    evaluate(network, Drawn([(1100, 1000)] * 2), batch_size=4)
    assert [shape[0] for shape in network.seen] == [1, 1]


def test_gives_every_module_its_mode_back_even_after_an_error() -> None:
    network = nn.Sequential(nn.Identity(), Pixelwise()).train()
    frozen = network[1].norm.eval()
    assert isinstance(network[1], Pixelwise)
    before = frozen.running_mean.clone()
    evaluate(network[1], Drawn(MIXED))
    assert network[1].training
    assert not frozen.training
    assert_close(frozen.running_mean, before)
    network[1].weight.data[:] = torch.nan
    with pytest.raises(ValueError, match="finite logits"):
        evaluate(network[1], Drawn(MIXED))
    assert network[1].training
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(("workers", "expected"), [(0, False), (1, True)])
def test_reading_runs_ahead_of_the_network_with_a_worker(workers: int, expected: bool) -> None:
    third_is_read, ahead = threading.Event(), []

    class Signalling(Drawn):
        def __getitem__(self, index: int) -> Sample:
            if index == 2:
                third_is_read.set()
            return super().__getitem__(index)

    class Waiting(Pixelwise):
        def forward(self, images: torch.Tensor) -> SegOutput:
            ahead.append(third_is_read.wait(timeout=5 if expected else 0.1))
            return super().forward(images)

    evaluate(Waiting(), Signalling([(4, 4)] * 4), batch_size=1, workers=workers)
    assert ahead[0] is expected


def test_half_precision_is_near_and_counts_the_same_pixels() -> None:
    network, dataset = Strided(), Drawn(MIXED)
    exact = evaluate(network, dataset)
    half = evaluate(network, dataset, precision="bf16-mixed")
    assert half.pixels == exact.pixels
    assert abs(half.scores.pixel_accuracy - exact.scores.pixel_accuracy) < 0.05


def test_the_result_is_json() -> None:
    result = evaluate(Strided(), Drawn(MIXED))
    read = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert read["images"] == len(MIXED)
    assert read["miou"] == result.scores.miou
    assert read["colors"]["sky"] == [70, 130, 180]


def test_names_the_image_whose_labels_are_no_classes() -> None:
    dataset = Drawn(MIXED)
    mask = dataset.samples[2].mask
    assert mask is not None
    mask[:] = 0
    mask[0, :5] = 17
    message = "labels from 0 to 2 or 255 in image2, got 17 at 5 pixels"
    with pytest.raises(DataError, match=message):
        evaluate(Strided(), dataset)


def test_refuses_a_missing_mask_an_empty_split_and_other_classes() -> None:
    dataset = Drawn(MIXED)
    dataset.samples[1] = dataset.samples[1]._replace(mask=None)
    with pytest.raises(DataError, match="a mask for every image, got none for image1"):
        evaluate(Strided(), dataset)
    with pytest.raises(DataError, match="expected at least one image, got an empty split"):
        evaluate(Strided(), Drawn([]))
    fewer = replace(CLASSES, names=CLASSES.names[:2], colors=CLASSES.colors[:2])
    with pytest.raises(ValueError, match=r"expected logits of 2 classes.*, got 3"):
        evaluate(Strided(), Drawn(MIXED, fewer))


def test_refuses_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="expected precision 32-true, bf16-mixed, 16-mixed, got 8"):
        evaluate(Strided(), Drawn(MIXED), precision="8-bit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="workers >= 0 and batch_size >= 1, got -1 and 8"):
        evaluate(Strided(), Drawn(MIXED), workers=-1)
