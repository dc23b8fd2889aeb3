"""ImageNet weights: from the cache without a network, or a quick answer without one."""

import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
from torch.testing import assert_close

from segdistill.models import build_network
from segdistill.models.backbone import Backbone
from segdistill.models.checkpoints import pretrained
from segdistill.models.checkpoints.pretrained import published_neighbour


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Put weights of ResNet-18 where the hub's cache has them, and forbid the network."""
    torch.manual_seed(7)
    state = timm.create_model("resnet18").state_dict()
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")

    def find(repository: str, name: str, **_: Any) -> str | None:
        known = repository == "timm/resnet18.a1_in1k" and name == "model.safetensors"
        return str(tmp_path / name) if known else None

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", find)
    monkeypatch.setattr("socket.socket.connect", fail)
    return state


def test_cached_weights_need_no_network(cached: dict[str, torch.Tensor]) -> None:
    body = Backbone("resnet18", pretrained=True).body
    for name, tensor in body.state_dict().items():
        assert_close(tensor, cached[name], atol=0, rtol=0)
    for module in body.modules():
        assert "state_dict" not in (getattr(module, "pretrained_cfg", None) or {})


def test_cached_weights_fill_encoders_of_other_libraries_too(
    cached: dict[str, torch.Tensor],
) -> None:
    settings = {"network": "smp:fpn", "args": {"encoder_name": "tu-resnet18"}, "pretrained": True}
    network = build_network(settings, classes=3).network
    assert_close(network.encoder.model.conv1.weight, cached["conv1.weight"], atol=0, rtol=0)
    for module in network.modules():
        assert "state_dict" not in (getattr(module, "pretrained_cfg", None) or {})


def test_a_variant_takes_what_fits_and_says_what_does_not(
    cached: dict[str, torch.Tensor],
) -> None:
    said: list[str] = []
    settings = {"network": "fcn", "backbone": "resnet18_deep", "pretrained": True}
    network = build_network(settings, classes=3, tell=said.append)
    own = network.backbone.body.state_dict()
    assert_close(own["layer4.1.conv2.weight"], cached["layer4.1.conv2.weight"])
    assert own["conv1.0.weight"].shape == (64, 3, 3, 3)
    (sentence,) = said
    assert "are the ImageNet weights of resnet18; nobody published others for its conv1" in sentence


@pytest.mark.parametrize("network", ["lraspp", "mobilenetv2plus", "deeplabv3", "smp:fpn"])
def test_a_hub_that_answers_nobody_is_refused_in_two_seconds(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object, **__: object) -> None:
        time.sleep(30)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", hang)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    began = time.perf_counter()
    with pytest.raises(ValueError, match=r"no model.safetensors of .*backbone_weights"):
        build_network({"network": network, "pretrained": True}, classes=3)
    assert time.perf_counter() - began < 2


def test_a_server_that_refuses_is_named_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"encoder: .*got no weights.pth in .*checkpoints.*URLErr"):
        pretrained.url_file("http://127.0.0.1:9/a/weights.pth", "encoder")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "weights.pth").touch()
    file = pretrained.url_file("http://127.0.0.1:9/a/weights.pth", "encoder")
    assert file == tmp_path / "hub" / "checkpoints" / "weights.pth"


@pytest.mark.parametrize(
    ("name", "neighbour"),
    [
        ("mobilenetv2_130", "mobilenetv2_140"),
        ("mobilenetv2_035", "mobilenetv2_050"),
        ("resnet18_half_deep_ceil", "resnet18"),
    ],
)
def test_the_nearest_with_published_weights_is_named(name: str, neighbour: str) -> None:
    assert published_neighbour(name) == neighbour
