"""Resizing by tiles: torch's own bilinear values and gradient, at every ratio."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill import upsampling
from segdistill.upsampling import Resizing, argmax_at, intervals, tiles

SIZES = [
    ((3, 5), (24, 40)),
    ((3, 5), (25, 37)),
    ((1, 1), (9, 10)),
    ((7, 4), (7, 4)),
    ((9, 11), (5, 6)),
    ((33, 65), (257, 513)),
]


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.fixture
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsampling, "_VALUES", 600)


@pytest.mark.usefixtures("_small_tiles")
@pytest.mark.parametrize(("source", "size"), SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tiles_have_the_values_and_the_gradient_of_interpolate(
    source: tuple[int, int], size: tuple[int, int], dtype: torch.dtype
) -> None:
    maps = noise(2, 3, *source, dtype=dtype).requires_grad_()
    expected = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    upstream = noise(2, 3, *size, dtype=dtype).roll(1)
    expected.backward(upstream)
    resizing = Resizing(source, size, like=maps)
    found, gradient = torch.empty_like(expected), torch.zeros_like(maps)
    for tile in tiles(size, 3, maps.device):
        pixels = resizing.source(tile)
        values = resizing.enlarge(maps.detach()[..., pixels.rows, pixels.columns], tile)
        found[..., tile.rows, tile.columns] = values
        slope = upstream[..., tile.rows, tile.columns]
        gradient[..., pixels.rows, pixels.columns] += resizing.give_back(slope, tile)
    # The positions themselves are torch's, to the last bit: 1e-6, not 1e-5 at 513 pixels.
    bound = 2e-6 if dtype == torch.float32 else 1e-12
    assert_close(found, expected, rtol=bound, atol=bound)
    assert_close(gradient, maps.grad, rtol=10 * bound, atol=10 * bound)


@pytest.mark.usefixtures("_small_tiles")
@pytest.mark.parametrize("size", [(24, 40), (25, 37), (1, 100)])
def test_tiles_cover_each_position_once(size: tuple[int, int]) -> None:
    seen = torch.zeros(size)
    for tile in tiles(size, 7, seen.device):
        seen[tile.rows, tile.columns] += 1
        assert seen[tile.rows, tile.columns].numel() * 7 <= 600
    assert (seen == 1).all()


@pytest.mark.usefixtures("_small_tiles")
@pytest.mark.parametrize(("source", "size"), SIZES)
def test_the_classes_are_those_of_the_resized_logits(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    logits = noise(2, 5, *source)
    expected = F.interpolate(logits, size, mode="bilinear").argmax(dim=1)
    assert torch.equal(argmax_at(logits, size).long(), expected)


def test_many_classes_have_ids_that_hold_them() -> None:
    logits = torch.zeros(1, 300, 1, 1)
    logits[:, 299] = 1
    assert (argmax_at(logits, (2, 3)) == 299).all()


@pytest.mark.parametrize(
    ("pixels", "length"), [(1, 1), (1, 7), (3, 6), (5, 25), (7, 51), (64, 512), (33, 257), (4, 4)]
)
def test_intervals_give_each_position_its_two_pixels_and_their_weights(
    pixels: int, length: int
) -> None:
    starts, scale = intervals(pixels, length)
    counts = starts.diff()
    assert counts.sum() == length
    assert counts.max() <= -(-length // pixels)
    lower = torch.arange(-1, pixels).repeat_interleave(counts)
    shares = scale * (torch.arange(length).double() + 0.5) - 0.5 - lower
    assert (shares > -1e-5).all()
    assert (shares < 1 + 1e-5).all()
    weights = torch.zeros(length, pixels, dtype=torch.float64)
    weights.scatter_add_(1, lower.clamp(min=0)[:, None], (1 - shares)[:, None])
    weights.scatter_add_(1, (lower + 1).clamp(max=pixels - 1)[:, None], shares[:, None])
    identity = torch.eye(pixels, dtype=torch.float64)
    expected = F.interpolate(identity[:, None], length, mode="linear")[:, 0].T
    assert_close(weights, expected, rtol=1e-5, atol=1e-5)
