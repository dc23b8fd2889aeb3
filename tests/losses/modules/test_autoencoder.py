"""The autoencoder of knowledge adaptation: shapes as published, its loss."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.losses import Autoencoder, autoencoder_loss


@pytest.mark.parametrize("size", [(8, 12), (7, 9), (1, 1), (5, 8)], ids=str)
def test_encodes_at_half_the_size_and_decodes_to_the_whole(size: tuple[int, int]) -> None:
    autoencoder = Autoencoder(6).eval()
    features = torch.rand(2, 6, *size)
    code = autoencoder.encode(features)
    assert code.shape == (2, 6, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert autoencoder.decode(code, size).shape == features.shape


def test_is_made_as_published() -> None:
    autoencoder = Autoencoder(6)
    down = [m for m in autoencoder.modules() if type(m) is nn.Conv2d]
    up = [m for m in autoencoder.modules() if type(m) is nn.ConvTranspose2d]
    assert [m.stride[0] for m in down] == [2, 1, 1]
    assert [m.stride[0] for m in up] == [1, 1, 2]
    assert all(m.kernel_size == (3, 3) and m.padding == (1, 1) for m in down + up)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in autoencoder.modules()) == 6


def test_the_loss_equals_its_equation() -> None:
    # Two channels of two positions.
    features = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 1, 2)
    decoded = torch.tensor([1.0, 0.0, 3.0, 5.0]).reshape(1, 2, 1, 2)
    code = torch.tensor([-3.0, 7.0]).reshape(1, 2, 1, 1)
    expected = torch.tensor((4 + 1 + 0.5 * 10) / 2)
    assert_close(autoencoder_loss(features, code, decoded, sparsity=0.5), expected)
    assert_close(autoencoder_loss(features, code, decoded), torch.tensor((5 + 1e-7 * 10) / 2))
