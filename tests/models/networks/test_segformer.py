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
    """Copy by position: both list a block's weights in the same order, but for key and value."""

    def take(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
        module.load_state_dict(
            {key: value.reshape(module.state_dict()[key].shape) for key, value in state.items()}
        )

    def state(path: str) -> dict[str, torch.Tensor]:
        return dict(theirs.get_submodule(path).state_dict())

    for index, stage in enumerate(ours.backbone.stages):
        encoder = "segformer.encoder"
        base = f"{encoder}.patch_embeddings.{index}"
        take(stage.embed, state(f"{base}.proj"))
        take(stage.embed_norm, state(f"{base}.layer_norm"))
        take(stage.norm, state(f"{encoder}.layer_norm.{index}"))
        for number, block in enumerate(stage.blocks):
            base = f"{encoder}.block.{index}.{number}"
            take(block.attention_norm, state(f"{base}.layer_norm_1"))
            take(block.mlp_norm, state(f"{base}.layer_norm_2"))
            take(block.expand, state(f"{base}.mlp.dense1"))
            take(block.depthwise, state(f"{base}.mlp.dwconv.dwconv"))
            take(block.contract, state(f"{base}.mlp.dense2"))
            take(block.attention.query, state(f"{base}.attention.self.query"))
            take(block.attention.project, state(f"{base}.attention.output.dense"))
            key, value = (state(f"{base}.attention.self.{part}") for part in ("key", "value"))
            take(
                block.attention.key_value,
                {part: torch.cat([key[part], value[part]]) for part in ("weight", "bias")},
            )
            if block.attention.reduce is not None:
                take(block.attention.reduce, state(f"{base}.attention.self.sr"))
                take(block.attention.reduce_norm, state(f"{base}.attention.self.layer_norm"))
        take(ours.head.projections[index], state(f"decode_head.linear_c.{index}.proj"))
    take(ours.head.fuse[0], state("decode_head.linear_fuse"))
    take(ours.head.fuse[1], state("decode_head.batch_norm"))
    take(ours.classifier, state("decode_head.classifier"))


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
        with pytest.raises(ValueError, match="at least 29 pixels per side.*larger crop"):
            network(torch.rand(1, 3, 28, 64))
