"""Weights of a published network, or of its backbone, into the backbone of a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import build_network
from segdistill.models.checkpoints.backbones import find_backbone

NETWORKS: list[tuple[dict[str, Any], str]] = [
    ({"network": "fcn", "backbone": "resnet10t", "width": 4}, "resnet10t"),
    ({"network": "lraspp", "backbone": "mobilenetv2_035", "width": 4}, "mobilenetv2_035"),
    ({"network": "fcn", "backbone": "convnext_atto", "output_stride": 32}, "convnext_atto"),
    (
        {"network": "fcn", "backbone": "vit_tiny_patch16_224", "output_stride": 16},
        "vit_tiny_patch16_224",
    ),
    ({"network": "mobilenetv2plus"}, "mobilenetv2_100"),
    ({"network": "smp:fpn", "args": {"encoder_name": "tu-mobilenetv2_035"}}, "mobilenetv2_035"),
    ({"network": "smp:fpn", "args": {"encoder_name": "tu-resnet10t"}}, "resnet10t"),
]


def published(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    kwargs = {"dynamic_img_size": True} if name.startswith("vit") else {}
    network = timm.create_model(name, **kwargs)
    return {key: tensor + 0.5 for key, tensor in network.state_dict().items()}


def body(network: nn.Module) -> nn.Module:
    part = find_backbone(network)
    assert part is not None
    return part.module


def sums(tensors: Iterator[torch.Tensor]) -> list[float]:
    return sorted(float(tensor.double().sum()) for tensor in tensors)


@pytest.mark.parametrize(("settings", "name"), NETWORKS)
def test_a_published_network_fills_the_backbone_and_nothing_else(
    settings: dict[str, Any], name: str, tmp_path: Path
) -> None:
    state = published(name)
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "a.pth")
    before = build_network(settings, classes=3, seed=2)
    said: list[str] = []
    built = build_network(
        settings | {"backbone_weights": tmp_path / "a.pth"}, classes=3, seed=2, tell=said.append
    )
    part = find_backbone(built)
    assert part is not None
    for ours, theirs in part.names.items():
        if not ours.endswith("num_batches_tracked"):
            assert_close(part.module.state_dict()[ours], state[theirs], atol=0, rtol=0)
    inner = {id(tensor) for tensor in part.module.state_dict(keep_vars=True).values()}
    rest = [n for n, t in built.state_dict(keep_vars=True).items() if id(t) not in inner]
    assert rest
    for key in rest:
        assert_close(built.state_dict()[key], before.state_dict()[key], atol=0, rtol=0)
    assert any("tensors left out: " in sentence for sentence in said)


@pytest.mark.parametrize("prefix", ["", "backbone.", "encoder.", "model.encoder."])
def test_the_backbone_of_a_segmentation_network_will_do(prefix: str, tmp_path: Path) -> None:
    settings, name = NETWORKS[1]
    state = {prefix + k: v for k, v in published(name).items() if "classifier" not in k}
    torch.save({**state, "decode_head.weight": torch.ones(7)}, tmp_path / "a.pth")
    said: list[str] = []
    built = build_network(
        settings | {"backbone_weights": tmp_path / "a.pth"}, classes=3, tell=said.append
    )
    own = body(built).state_dict()["conv_stem.weight"]
    assert_close(own, state[f"{prefix}conv_stem.weight"])
    assert any("decode_head (1)" in sentence for sentence in said)


def test_our_own_student_gives_its_backbone(tmp_path: Path) -> None:
    from segdistill.models import save_network

    settings, _ = NETWORKS[1]
    first = build_network(settings, classes=3, seed=1)
    save_network(tmp_path / "a.safetensors", first, {"network": settings})
    other = {"network": "fcn", "backbone": "mobilenetv2_035"}
    built = build_network(
        other | {"backbone_weights": tmp_path / "a.safetensors"}, classes=5, seed=2
    )
    assert_close(body(built).state_dict(), body(first).state_dict(), atol=0, rtol=0)


def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"_layer{place}": tensor for place, tensor in enumerate(state.values())}


def test_other_names_are_taken_in_order_where_all_shapes_agree(tmp_path: Path) -> None:
    settings, name = NETWORKS[1]
    state = published(name)
    torch.save(renamed({k: v for k, v in state.items() if "batches" not in k}), tmp_path / "a.pth")
    said: list[str] = []
    built = build_network(
        settings | {"backbone_weights": tmp_path / "a.pth"}, classes=3, tell=said.append
    )
    for key, tensor in body(built).state_dict().items():
        if not key.endswith("batches_tracked"):
            assert_close(tensor, state[key], atol=0, rtol=0)
    assert any("fit in their order" in sentence for sentence in said)


@pytest.mark.parametrize("place", [0, 40, -3])
def test_one_shape_that_differs_forbids_the_order(place: int, tmp_path: Path) -> None:
    settings, name = NETWORKS[1]
    state = renamed({k: v for k, v in published(name).items() if "batches" not in k})
    key = list(state)[place]
    state[key] = torch.cat([state[key], state[key]])
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"backbone mobilenetv2_035, got .* 0 of 255 fit"):
        build_network(settings | {"backbone_weights": tmp_path / "a.pth"}, classes=3)


def test_a_deeper_backbone_of_the_family_is_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "a.pth")
    settings = {"network": "fcn", "backbone": "resnet18", "backbone_weights": tmp_path / "a.pth"}
    with pytest.raises(CheckpointError, match=r"backbone resnet18.*extra .*deeper network"):
        build_network(settings, classes=3)


def test_a_network_without_a_backbone_refuses_its_weights(tmp_path: Path) -> None:
    torch.save(published("resnet10t"), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="network espnet_c: expected a network on a backbone"):
        build_network({"network": "espnet_c", "backbone_weights": tmp_path / "a.pth"}, classes=3)
