"""Backbones: the stride that was asked for, and clear refusals."""

import pytest
import torch

from segdistill.models.backbone import VARIANTS, Backbone, backbone_names


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


def test_a_mobilenet_is_dilated_to_stride_4() -> None:
    backbone = Backbone("mobilenetv2_035", 4).eval()
    with torch.no_grad():
        last = backbone(torch.zeros(1, 3, 33, 65))[-1]
    assert backbone.features[-1].stride == 4
    assert last.shape[2:] == (9, 17)


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
    with torch.no_grad(), pytest.raises(ValueError, match=r"got \(50, 70\).*crop=\[224, 224\] and"):
        backbone(torch.zeros(1, 3, 50, 70))


def test_a_backbone_that_mixes_channels_and_rows_up_is_padded() -> None:
    # As it is, it gives 288 channels for images of 95x129.
    assert Backbone("vit_tiny_r_s16_p8_224", 32).divisor == 32


def test_a_backbone_that_cannot_be_tried_is_padded_to_its_stride(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("segdistill.models.backbone.needed_divisor", lambda *_, **__: None)
    backbone = Backbone("resnet10t", 32).eval()
    sizes: list[torch.Size] = []
    backbone.body.register_forward_pre_hook(lambda _module, inputs: sizes.append(inputs[0].shape))
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 95, 129))
    assert sizes[0][2:] == (96, 160)
    assert maps[-1].shape[2:] == (3, 5)


def test_a_dilated_backbone_has_the_weights_of_the_strided_one() -> None:
    assert (
        Backbone("resnet18", 8).state_dict().keys() == Backbone("resnet18", 32).state_dict().keys()
    )


def test_knows_the_normalisation_of_its_weights() -> None:
    assert Backbone("resnet18").mean == (0.485, 0.456, 0.406)
    assert Backbone("mobilenetv3_large_100.miil_in21k", 32).mean == (0.0, 0.0, 0.0)


def test_lists_ours_and_timms() -> None:
    assert {"resnet18_deep", "mobilenetv2_035"} <= set(backbone_names())


@pytest.mark.parametrize(
    ("name", "stride", "pretrained", "message"),
    [
        ("resnet19", 16, False, "got 'resnet19'; did you mean 'resnet1"),
        ("nothing like it", 16, False, "give the name of a timm network"),
        ("resnet18", 2, False, "expected output_stride 4, 8, 16 or 32, got 2"),
        (
            "resnet18",
            4,
            False,
            "stride 4, got one of stride 32.*choose a MobileNet or EfficientNet",
        ),
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
        ("resnet18_half", 8, True, "the nearest is resnet18: .*backbone_weights.*pretrained=false"),
        ("mobilenetv2_130", 8, True, "nearest is mobilenetv2_140"),
        ("mobilenetv2_035", 8, True, "timm has none.*nearest with some is mobilenetv2_050"),
    ],
)
def test_refuses_what_it_cannot_build(
    name: str, stride: int, pretrained: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=f"Backbone.*{message}"):
        Backbone(name, stride, pretrained)
