"""Backbones: the stride that was asked for, and clear refusals."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from segdistill.models import backbone as source_file
from segdistill.models.backbone import VARIANTS, Backbone, Variant, backbone_names


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_035", "mobilenetv3_small_050"])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_maps_have_the_width_and_stride_that_it_says(name: str, stride: int) -> None:
    backbone = Backbone(name, stride).eval()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 96))
    assert len(maps) == len(backbone.features)
    assert backbone.features[-1].stride == stride
    for each, feature in zip(maps, backbone.features, strict=True):
        assert each.shape[1:] == (feature.channels, 64 // feature.stride, 96 // feature.stride)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_every_variant_runs(name: str) -> None:
    backbone = Backbone(name, 16).eval()
    with torch.no_grad():
        last = backbone(torch.zeros(1, 3, 33, 65))[-1]
    assert last.shape[1] == backbone.features[-1].channels


def test_maps_are_channels_first_where_timm_gives_channels_last() -> None:
    backbone = Backbone("swin_tiny_patch4_window7_224", 32).eval()
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 224, 224))[-1].shape == (1, 768, 7, 7)


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("swin_tiny_patch4_window7_224", 32),
        ("swinv2_tiny_window8_256", 32),
        ("vit_tiny_patch16_224", 16),
    ],
)
def test_a_transformer_takes_images_of_any_size(name: str, stride: int) -> None:
    backbone = Backbone(name, stride).eval()
    with torch.no_grad():
        last = backbone(torch.zeros(1, 3, 50, 70))[-1]
    expected = (backbone.features[-1].channels, -(-50 // stride), -(-70 // stride))
    assert last.shape[1:] == expected


def test_a_backbone_of_one_size_alone_says_so() -> None:
    backbone = Backbone("beit_base_patch16_224", 16).eval()
    with torch.no_grad(), pytest.raises(ValueError, match=r"got \(50, 70\).*224.*another crop"):
        backbone(torch.zeros(1, 3, 50, 70))


def test_a_dilated_backbone_has_the_weights_of_the_strided_one() -> None:
    assert (
        Backbone("resnet18", 8).state_dict().keys() == Backbone("resnet18", 32).state_dict().keys()
    )


def test_knows_the_normalisation_of_its_weights() -> None:
    assert Backbone("resnet18").mean == (0.485, 0.456, 0.406)
    assert Backbone("mobilenetv3_large_100.miil_in21k", 32).mean == (0.0, 0.0, 0.0)


def test_lists_ours_and_timms() -> None:
    assert {"resnet18_deep", "mobilenetv2_035"} <= set(backbone_names())


def test_a_variant_takes_over_what_fits_of_imagenets_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = source_file._build
    trained = build(Variant("resnet18"), {"features_only": True})

    def built(variant: Variant, arguments: Mapping[str, Any]) -> nn.Module:
        return trained if arguments["pretrained"] else build(variant, arguments)

    monkeypatch.setattr(source_file, "_build", built)
    network = Backbone("resnet18_deep", 8, pretrained=True)
    own, source = network.body.state_dict(), trained.state_dict()
    scratch = set(network.not_pretrained)
    assert all(torch.equal(own[key], source[key]) for key in own.keys() - scratch)
    assert "layer4.1.conv2.weight" not in scratch
    # The stem is another one, and the first stage takes 128 channels of it in place of 64.
    stem = {key for key in scratch if key.startswith(("conv1", "bn1"))}
    assert stem
    assert all(key.startswith("layer1.0.") for key in scratch - stem)
    parameters = sum(own[key].numel() for key in scratch)
    assert parameters < 0.03 * sum(value.numel() for value in own.values())


@pytest.mark.parametrize(
    ("name", "stride", "pretrained", "message"),
    [
        ("resnet19", 16, False, "got 'resnet19'; did you mean 'resnet1"),
        ("nothing like it", 16, False, "give the name of a timm network"),
        ("resnet18", 4, False, "expected output_stride 8, 16 or 32, got 4"),
        (
            "vgg11",
            8,
            False,
            "last map of stride 8, got one of stride 32.*output_stride=32 or choose a ResNet",
        ),
        ("vit_tiny_patch16_224", 8, False, "got one of stride 16.*set output_stride=16 or"),
        (
            "vit_tiny_patch16_224",
            32,
            False,
            "stride 32, got one of stride 16.*set output_stride=16",
        ),
        ("resnet18_half", 8, True, "pretrained=False, since hardly any weight of resnet18 fits"),
        ("mobilenetv2_130", 16, True, "pretrained=False"),
    ],
)
def test_refuses_what_it_cannot_build(
    name: str, stride: int, pretrained: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=f"Backbone.*{message}"):
        Backbone(name, stride, pretrained)
