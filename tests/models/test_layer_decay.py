"""Layer decay: a backbone's parameters get the factors of the network that it is cut from."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay

from segdistill.models import build_network
from segdistill.models.layer_decay import layer_scales


def network(backbone: str, stride: int) -> torch.nn.Module:
    settings = {"network": "fcn", "backbone": backbone, "output_stride": stride, "width": 8}
    with torch.device("meta"):
        return build_network(settings, classes=3)


@pytest.mark.parametrize(
    ("backbone", "stride", "first", "second"),
    [
        ("vit_tiny_patch16_224", 16, "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"),
        ("swin_tiny_patch4_window7_224", 32, "patch_embed.proj.weight", "layers.0"),
        ("convnext_atto", 32, "stem.0.weight", "stages.0.blocks.0.conv_dw.weight"),
        ("resnet18", 32, "conv1.weight", "layer1.0.conv1.weight"),
    ],
)
def test_factors_are_those_of_timm(backbone: str, stride: int, first: str, second: str) -> None:
    with torch.device("meta"):
        whole = timm.create_model(backbone)
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    expected = {
        names[id(parameter)].replace(".", "_"): group["lr_scale"]
        for group in param_groups_layer_decay(whole, layer_decay=0.5)
        for parameter in group["params"]
    }
    given = {
        name.removeprefix("backbone.body.").removeprefix("model.").replace(".", "_"): scale
        for name, scale in layer_scales(network(backbone, stride), 0.5).items()
    }
    assert given
    assert {name: expected[name] for name in given if name in expected} == {
        name: scale for name, scale in given.items() if name in expected
    }
    assert len(set(given) - set(expected)) <= 2 * 4  # norms of maps that the whole network lacks
    lowest = given[first.replace(".", "_")]
    assert lowest == min(given.values()) < max(given.values()) <= 1.0
    following = min(
        scale for name, scale in given.items() if name.startswith(second.replace(".", "_"))
    )
    assert lowest <= following


def test_a_network_without_a_backbone_of_timm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"backbone of timm's, got .*; set training\.lr_scale"):
        layer_scales(build_network({"network": "espnet_c"}, classes=3), 0.5)
