"""Inference: views are undone exactly, windows cover everything, nothing is padded."""

from itertools import pairwise
from typing import Any
from weakref import WeakSet

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill import upsampling
from segdistill.scoring.inference import predict, predict_ids
from segdistill.scoring.views import spans

from .networks import Pixelwise, Strided


def images(height: int = 24, width: int = 37) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def probabilities(network: nn.Module, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """The softmax of the logits at full size, by torch's own functions."""
    target = size or (x.shape[2], x.shape[3])
    logits = F.interpolate(network(x).logits, target, mode="bilinear", align_corners=False)
    return logits.softmax(dim=1)


@torch.no_grad()
def test_probabilities_have_the_size_of_the_images_or_the_one_asked_for() -> None:
    network, x = Strided().eval(), images()
    assert_close(predict(network, x), probabilities(network, x))
    assert_close(predict(network, x, size=(48, 74)), probabilities(network, x, (48, 74)))
    assert predict(network, x, window=(16, 16), size=(48, 74)).shape == (2, 3, 48, 74)


@torch.no_grad()
def test_bytes_and_unit_floats_are_the_same_image() -> None:
    network, x = Strided().eval(), (images() * 255).to(torch.uint8)
    assert_close(predict(network, x), predict(network, x.float() / 255))


@torch.no_grad()
def test_flip_averages_the_image_and_its_mirror_image() -> None:
    network, x = Strided().eval(), images()
    mirrored = predict(network, x.flip(-1)).flip(-1)
    expected = (predict(network, x) + mirrored) / 2
    assert_close(predict(network, x, flip=True), expected)
    assert_close(predict(network, x.flip(-1), flip=True).flip(-1), expected)


@torch.no_grad()
def test_scales_average_probabilities_at_the_size_of_the_image() -> None:
    network, x = Strided().eval(), images()
    views = []
    for size, antialias in (((12, 18), True), ((24, 37), False), ((36, 56), False)):
        view = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=antialias)
        views.append(probabilities(network, view, (24, 37)))
    found = predict(network, x, scales=(0.5, 1.0, 1.5))
    assert_close(found, sum(views) / 3)
    assert_close(found.sum(dim=1), torch.ones(2, 24, 37))


@torch.no_grad()
def test_a_window_as_large_as_the_image_is_the_whole_image() -> None:
    network, x = Strided().eval(), images()
    assert_close(predict(network, x, window=(24, 37)), predict(network, x))
    assert_close(predict(network, x, window=(100, 100)), predict(network, x))


@pytest.mark.parametrize("window", [(8, 8), (7, 13), (24, 5), (1, 1)])
@pytest.mark.parametrize("overlap", [0.0, 1 / 3, 0.9])
@torch.no_grad()
def test_windows_of_a_pixelwise_network_change_nothing(
    window: tuple[int, int], overlap: float
) -> None:
    network, x = Pixelwise().eval(), images(12, 17)
    found = predict(network, x, window=window, overlap=overlap)
    assert_close(found, predict(network, x))
    sizes = {shape[2:] for shape in network.seen[:-1]}
    assert sizes == {(min(window[0], 12), min(window[1], 17))}, "every window has the same size"


@torch.no_grad()
def test_overlapping_windows_are_averaged() -> None:
    network, x = Strided().eval(), images(8, 12)
    left, right = predict(network, x[..., :8]), predict(network, x[..., 4:])
    found = predict(network, x, window=(8, 8), overlap=0.5)
    assert_close(found[..., :4], left[..., :4])
    assert_close(found[..., 4:8], (left[..., 4:] + right[..., :4]) / 2)
    assert_close(found[..., 8:], right[..., 4:])


@pytest.mark.parametrize("overlap", [0.0, 0.25, 1 / 3, 0.5, 0.9])
def test_windows_cover_the_side_and_keep_the_overlap(overlap: float) -> None:
    for length in range(1, 60):
        for window in (1, 4, 9, 16):
            found = spans(length, window, overlap)
            assert found[0][0] == 0
            assert found[-1][1] == length
            for (_, end), (start, _) in pairwise(found):
                assert end - start >= int(window * overlap)


def literal_ids(network: nn.Module, x: Tensor, size: tuple[int, int], **views: Any) -> Tensor:
    """The classes by maps of full size, view by view and window by window."""
    total = torch.zeros(1)
    for scale in views["scales"]:
        shape = (round(scale * x.shape[2]), round(scale * x.shape[3]))
        scaled = F.interpolate(x, shape, mode="bilinear", antialias=scale < 1)
        for mirrored in (False, True) if views["flip"] else (False,):
            view = scaled.flip(-1) if mirrored else scaled
            if views["window"] is None:
                values = probabilities(network, view, size)
            else:
                values, cover = torch.zeros(len(x), 3, *shape), torch.zeros(shape)
                for top, bottom in spans(shape[0], views["window"][0], 1 / 3):
                    for left, right in spans(shape[1], views["window"][1], 1 / 3):
                        part = view[..., top:bottom, left:right]
                        values[..., top:bottom, left:right] += probabilities(network, part)
                        cover[top:bottom, left:right] += 1
                values = F.interpolate(values / cover, size, mode="bilinear")
            total = total + (values.flip(-1) if mirrored else values)
    return total.max(dim=1).indices


@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.3)])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("window", [None, (13, 16)])
@pytest.mark.parametrize("size", [(24, 37), (53, 29), (3, 37)])
@pytest.mark.parametrize("kind", [Strided, Pixelwise])
@torch.no_grad()
def test_classes_are_those_of_probabilities_of_full_size(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Strided | Pixelwise],
    scales: tuple[float, ...],
    flip: bool,
    window: tuple[int, int] | None,
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr(upsampling, "_VALUES", 500)  # several tiles
    network, x = kind().eval(), images()
    views: dict[str, Any] = {"scales": scales, "flip": flip, "window": window}
    ids, classes = predict_ids(network, x, size=size, **views)
    assert (ids.dtype, classes) == (torch.uint8, 3)
    assert torch.equal(ids.long(), literal_ids(network, x, size, **views))
    assert torch.equal(ids.long(), predict(network, x, size=size, **views).argmax(dim=1))


@pytest.mark.parametrize(("kind", "layer"), [(Pixelwise, "norm"), (Strided, "convolution")])
@torch.no_grad()
def test_each_window_is_predicted_once_and_forgotten_below_it(
    monkeypatch: pytest.MonkeyPatch, kind: type[Strided | Pixelwise], layer: str
) -> None:
    monkeypatch.setattr(upsampling, "_VALUES", 500)
    network = kind().eval()
    kept: list[int] = []
    network.register_forward_pre_hook(lambda *_: kept.append(len(alive)))
    alive: WeakSet[Tensor] = WeakSet()
    getattr(network, layer).register_forward_hook(lambda _module, _inputs, maps: alive.add(maps))
    predict_ids(network, images(96, 24), window=(8, 8), overlap=0.0)
    assert len(kept) == 12 * 3
    # Three rows of windows at most, out of twelve; of logits of full size no more than one window.
    assert max(kept) <= (1 if kind is Pixelwise else 3 * 3)


@torch.no_grad()
def test_sums_of_windows_are_kept_for_the_rows_in_hand_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upsampling, "_VALUES", 2 * 3 * 64)  # tiles of 8 x 8
    rows: list[int] = []
    pad = F.pad

    def padded(maps: Tensor, more: tuple[int, ...]) -> Tensor:
        rows.append(maps.shape[-2] + more[-1])
        return pad(maps, more)

    monkeypatch.setattr(nn.functional, "pad", padded)
    predict_ids(Pixelwise().eval(), images(96, 24), window=(12, 12))
    assert max(rows) <= 12 + 8, "one window and one tile high, of 96"


@torch.no_grad()
def test_the_network_sees_the_image_unpadded() -> None:
    network = Pixelwise().eval()
    predict(network, images(5, 7))
    assert network.seen == [(2, 3, 5, 7)]


def test_refuses_views_that_make_no_sense() -> None:
    network, x = Pixelwise().eval(), images()
    with pytest.raises(ValueError, match="at least one scale, got none"):
        predict(network, x, scales=())
    with pytest.raises(ValueError, match="expected scale > 0 and finite, got -1"):
        predict(network, x, scales=(1.0, -1.0))
    with pytest.raises(ValueError, match="window_width > 0"):
        predict(network, x, window=(4, 0))
    with pytest.raises(ValueError, match=r"overlap in \[0, 1\), got 1.0"):
        predict(network, x, window=(4, 4), overlap=1.0)
    with pytest.raises(ValueError, match=r"images \(N, 3, H, W\), got \(24, 37, 3\)"):
        predict(network, torch.rand(24, 37, 3))


def test_refuses_logits_that_are_not_finite() -> None:
    network = Pixelwise().eval()
    network.weight.data[0] = torch.nan
    with pytest.raises(ValueError, match="expected finite logits"):
        predict(network, images())
