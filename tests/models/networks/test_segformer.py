"""SegFormer: transformers' own network is the oracle, weight for weight."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.models import build_network
from segdistill.models.mix_transformer import WIDTHS
from segdistill.models.segmenter import Segmenter

WIDTH = 24


def oracle(name: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=list(WIDTHS[name]),
        decoder_hidden_size=WIDTH,
        num_labels=5,
        layer_norm_eps=1e-6,
    )
    torch.manual_seed(0)
    network: nn.Module = transformers.SegformerForSemanticSegmentation(config).eval()
    with torch.no_grad():  # norms and biases that matter
        for weight in network.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return network


def copy(theirs: nn.Module, ours: Segmenter) -> None:
    """Copy by position: both list their weights in the same order, key and value apart there."""
    given = iter(theirs.state_dict().values())
    copied = {"mean": ours.mean, "std": ours.std}
    for name, weight in ours.state_dict().items():
        if name.endswith("key_value.weight"):
            key, key_bias, value, value_bias = (next(given) for _ in range(4))
            copied[name] = torch.cat([key, value])
            copied[name.replace("weight", "bias")] = torch.cat([key_bias, value_bias])
        elif name not in copied:
            copied[name] = next(given).reshape(weight.shape)
    ours.load_state_dict(copied)
    assert not list(given)


@pytest.mark.parametrize("name", WIDTHS)
def test_equals_transformers_with_the_same_weights(name: str) -> None:
    theirs = oracle(name)
    ours = build_network({"network": "segformer", "backbone": name, "width": WIDTH}, classes=5)
    assert isinstance(ours, Segmenter)
    ours.eval()
    copy(theirs, ours)
    images = torch.rand(2, 3, 85, 123)
    with torch.no_grad():
        expected = theirs((images - ours.mean) / ours.std).logits
        given = ours(images).logits
    assert expected.std() > 1e-2
    assert_close(given, expected, atol=2e-4, rtol=1e-3)


def test_takes_any_backbone_with_shallow_maps() -> None:
    network = build_network(
        {"network": "segformer", "backbone": "pvt_v2_b0", "width": 16}, classes=5
    ).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 96)).logits.shape == (1, 5, 16, 24)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output_stride": 16}, "expected output_stride 32 for mit_b0, got 16"),
        ({"pretrained": True}, "not be used commercially"),
    ],
)
def test_refuses_what_a_mix_transformer_has_not(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network({"network": "segformer", **settings}, classes=5)


def test_refuses_images_without_a_key() -> None:
    network = build_network({"network": "segformer", "width": 16}, classes=5).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 29, 29)).logits.shape == (1, 5, 8, 8)
        with pytest.raises(ValueError, match=r"at least 29 pixels per side.*larger crop"):
            network(torch.rand(1, 3, 28, 64))
