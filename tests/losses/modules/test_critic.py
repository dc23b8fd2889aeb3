"""The critic: any size of map, the image as condition, a bounded slope."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Critic
from segdistill.losses.modules.critic import SelfAttention


def inputs(size: tuple[int, int], images: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(images, 4, *size, generator=generator)
    return maps, torch.rand(images, 3, 48, 64, generator=generator)


def build() -> Critic:
    torch.manual_seed(0)
    return Critic(classes=4, width=8)


@pytest.mark.parametrize("size", [(1, 1), (12, 12), (13, 27), (64, 64), (65, 129)], ids=str)
def test_scores_maps_of_any_size(size: tuple[int, int]) -> None:
    scores = build()(*inputs(size))
    assert scores.shape == (2,)
    assert scores.isfinite().all()
    assert scores[0] != scores[1]


def test_is_made_as_published() -> None:
    convolutions = [m for m in build().modules() if isinstance(m, torch.nn.Conv2d)]
    strided = [m for m in convolutions if m.stride == (2, 2)]
    assert len(strided) == 5
    assert all(m.kernel_size == (4, 4) for m in strided)
    assert [hasattr(m, "parametrizations") for m in strided] == [True] * 4 + [False]
    bounded = Critic(classes=4, width=8, bound_last=True)
    assert hasattr(bounded.last, "parametrizations")
    names = [type(layer).__name__ for layer in build().layers]
    assert names == ["_Halve"] * 3 + ["SelfAttention", "_Halve", "SelfAttention"]


def test_the_score_depends_on_the_image() -> None:
    critic = build().eval()
    maps, images = inputs((12, 12))
    assert not torch.isclose(critic(maps, images), critic(maps, 1 - images)).any()


def test_bytes_and_fractions_are_the_same_image() -> None:
    critic = build().eval()
    maps, images = inputs((12, 12))
    images = (images * 255).to(torch.uint8)
    assert_close(critic(maps, images), critic(maps, images.float() / 255))


def test_images_of_one_batch_are_scored_apart() -> None:
    critic = build().eval()
    maps, images = inputs((12, 20))
    assert_close(critic(maps, images)[:1], critic(maps[:1], images[:1]))


def test_self_attention_starts_as_the_identity_and_then_mixes_positions() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16)
    maps = torch.rand(1, 16, 3, 4)
    assert_close(layer(maps), maps)
    layer.share.data.fill_(1.0)
    value = layer.value(maps).flatten(2)
    weights = (layer.query(maps).flatten(2).mT @ layer.key(maps).flatten(2)).softmax(dim=2)
    expected = maps.flatten(2) + torch.einsum("nij,ncj->nci", weights, value)
    assert_close(layer(maps).flatten(2), expected)


def test_refuses_maps_and_images_that_do_not_fit() -> None:
    critic = build()
    maps, images = inputs((12, 12))
    with pytest.raises(ValueError, match=r"Critic: expected maps \(N, 4, H, W\) and images"):
        critic(maps[:, :3], images)
    with pytest.raises(ValueError, match=r"got \(2, 4, 12, 12\) and \(1, 3, 48, 64\)"):
        critic(maps, images[:1])
