"""What a network draws for a part of the batch is what it draws for the whole batch at once."""

from collections.abc import Callable

import pytest
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from segdistill.losses.maths.part import Part, computing
from segdistill.training.shared_draws import shared_draws

IMAGES = 6
SEED = 5


def windows(images: Tensor) -> Tensor:
    """Four rows of each image, as networks of windows have them."""
    rows = F.dropout(images.reshape(4 * len(images), 3, -1), 0.5)
    return rows.reshape(images.shape)


def dropped_path(images: Tensor) -> Tensor:
    """As Hugging Face's networks have it."""
    keep = 0.5 + torch.rand((len(images), 1, 1, 1), dtype=images.dtype, device=images.device)
    return images.div(0.5) * keep.floor()


DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "dropout": nn.Dropout(0.5).train(),
    "in place": lambda images: F.dropout(images.clone(), 0.5, inplace=True),
    "channels": nn.Dropout2d(0.5).train(),
    "channels last": lambda images: F.dropout(
        images.contiguous(memory_format=torch.channels_last), 0.5
    ),
    "transposed": lambda images: F.dropout(images.flatten(start_dim=2).mT, 0.5),
    "windows": windows,
    "timm's path": DropPath(0.5).train(),
    "torchvision's path": StochasticDepth(0.5, "row").train(),
    "path by numbers from 0 to 1": dropped_path,
    "two in turn": lambda images: F.dropout(F.dropout(images, 0.3), 0.3),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("places", [[0, 1, 2], [5, 1]])
def test_a_part_draws_what_the_whole_batch_draws(name: str, places: list[int]) -> None:
    images = torch.rand(IMAGES, 3, 4, 8, generator=torch.Generator().manual_seed(1)) + 1
    torch.manual_seed(SEED)
    whole = DRAWS[name](images)
    assert not torch.equal(whole, images.reshape(whole.shape))
    torch.manual_seed(SEED + 1)
    where = torch.tensor(places)
    with computing(Part(where, IMAGES, last=True)), shared_draws(SEED):
        part = DRAWS[name](images[where])
    assert torch.equal(part, whole[where])


def test_other_draws_and_evaluation_are_left_alone() -> None:
    values = torch.ones(2, 3)
    torch.manual_seed(SEED)
    expected = torch.randn(2), torch.rand(3)
    torch.manual_seed(SEED)
    with computing(Part(torch.tensor([2, 3]), IMAGES, last=True)), shared_draws(SEED):
        assert torch.equal(F.dropout(values, 0.5, training=False), values)
        assert F.dropout(values, 0.5).shape == values.shape  # draws from a stream of its own
        assert torch.equal(torch.randn(2), expected[0])
        assert torch.equal(torch.rand(3), expected[1])
