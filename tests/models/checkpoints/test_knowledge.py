"""What a file knows is held against the config: classes by name, settings by value."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import build_network, save_network

FCN = {"network": "fcn", "backbone": "mobilenetv2_035", "width": 8, "output_stride": 16}
NAMES = ["road", "sky", "car"]
LRASPP = {"network": "torchvision:lraspp_mobilenet_v3_large"}


def saved(folder: Path, settings: dict[str, Any], names: list[str]) -> tuple[Path, nn.Module]:
    network = build_network(settings, classes=len(names), seed=1).eval()
    save_network(folder / "a.safetensors", network, {"network": settings, "classes": names})
    return folder / "a.safetensors", network


def logits(network: nn.Module) -> torch.Tensor:
    torch.manual_seed(0)
    with torch.no_grad():
        return network.eval()(torch.rand(1, 3, 64, 64)).logits


@pytest.mark.parametrize("settings", [FCN | {"auxiliary": True}, LRASPP])
def test_another_order_of_the_classes_is_put_right_and_said(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    path, network = saved(tmp_path, settings, NAMES)
    said: list[str] = []
    built = build_network(
        settings | {"weights": path},
        classes=3,
        class_names=["car", "road", "sky"],
        tell=said.append,
    )
    assert_close(logits(built), logits(network)[:, [2, 0, 1]])
    assert any("put into the data's order: [2, 0, 1]" in sentence for sentence in said)


def test_classes_that_the_data_lack_are_left_out_by_name(tmp_path: Path) -> None:
    path, network = saved(tmp_path, FCN, [*NAMES, "fence"])
    built = build_network(FCN | {"weights": path}, classes=2, class_names=["fence", "sky"])
    assert_close(logits(built), logits(network)[:, [3, 1]])


@pytest.mark.parametrize("settings", [FCN, LRASPP])
def test_equal_names_load_without_a_word(settings: dict[str, Any], tmp_path: Path) -> None:
    path, network = saved(tmp_path, settings, NAMES)
    said: list[str] = []
    built = build_network(
        settings | {"weights": path}, classes=3, class_names=NAMES, tell=said.append
    )
    assert_close(built.state_dict(), network.state_dict(), atol=0, rtol=0)
    assert said == []


def test_a_teacher_of_other_classes_is_refused_by_name(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, FCN, NAMES)
    with pytest.raises(CheckpointError, match=r"got tree missing among road, sky, car.*class_map"):
        build_network(FCN | {"weights": path}, classes=3, class_names=["road", "sky", "tree"])


@pytest.mark.long
@pytest.mark.parametrize("names", [["road", "sky", "tree"], ["tree", "house"], []])
@pytest.mark.parametrize("settings", [FCN, LRASPP])
def test_fine_tuning_keeps_everything_but_the_classifier(
    settings: dict[str, Any], names: list[str], tmp_path: Path
) -> None:
    classes = len(names) or 5
    path, network = saved(tmp_path, settings, NAMES)
    said: list[str] = []
    built = build_network(
        settings | {"weights": path},
        classes=classes,
        class_names=names,
        fine_tune=True,
        seed=9,
        tell=said.append,
    )
    initial = build_network(settings, classes=classes, seed=9).state_dict()
    for name, tensor in built.state_dict().items():
        anew = "classifier.weight" in name or "classifier.bias" in name
        anew = anew or "low_classifier" in name or "high_classifier" in name
        source = initial if anew else network.state_dict()
        assert_close(tensor, source[name], atol=0, rtol=0)
    (sentence,) = [sentence for sentence in said if "initialised at random" in sentence]
    assert "classifier.weight" in sentence


def test_own_code_is_fine_tuned_by_the_shapes_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_networks.py").write_text(
        "from torch import nn\n"
        "def build(classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, classes, 1))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {"network": "import:their_networks:build"}
    first = build_network(settings | {"args": {"classes": 7}}, classes=7)
    torch.save({"state_dict": first.network.state_dict()}, tmp_path / "a.pth")
    ours = settings | {"args": {"classes": 2}, "weights": tmp_path / "a.pth"}
    built = build_network(ours, classes=2, fine_tune=True)
    assert_close(built.network[0].weight, first.network[0].weight)
    with pytest.raises(CheckpointError, match="7 classes where the data have 2"):
        build_network(ours, classes=2)


def test_a_network_whose_classes_cannot_be_put_into_order_says_so(tmp_path: Path) -> None:
    settings = {"network": "espnet"}
    path, _ = saved(tmp_path, settings, NAMES)
    with pytest.raises(CheckpointError, match=r"class_map: \[2, 0, 1\], or save it with"):
        build_network(settings | {"weights": path}, classes=3, class_names=["car", "road", "sky"])


def test_settings_that_differ_without_changing_a_shape_are_said(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, FCN | {"output_stride": 8}, NAMES)
    said: list[str] = []
    build_network(FCN | {"weights": path}, classes=3, class_names=NAMES, tell=said.append)
    assert said == [
        f"{path}: it was saved with output_stride 8 (here 16); the config's settings are used"
    ]


def test_a_head_for_training_alone_is_left_out_of_our_own_file_and_said(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, FCN | {"auxiliary": True}, NAMES)
    said: list[str] = []
    build_network(FCN | {"weights": path}, classes=3, class_names=NAMES, tell=said.append)
    assert said == [
        f"{path}: tensors left out: auxiliary (7)",
        f"{path}: it was saved with auxiliary True (here False); the config's settings are used",
    ]


def test_settings_that_change_shapes_are_the_cause_that_a_refusal_names(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, FCN | {"width": 4}, NAMES)
    with pytest.raises(CheckpointError, match=r"it was saved with width 4 \(here 8\)"):
        build_network(FCN | {"weights": path}, classes=3, class_names=NAMES)


def test_a_class_map_is_the_last_word(tmp_path: Path) -> None:
    path, network = saved(tmp_path, LRASPP, NAMES)
    settings = LRASPP | {"weights": path, "class_map": [2, 2, 0]}
    built = build_network(settings, classes=3, class_names=["vehicle", "bus", "street"])
    assert_close(logits(built), logits(network)[:, [2, 2, 0]])


def test_a_teacher_of_ours_is_mapped_by_name_merged_and_lacking(tmp_path: Path) -> None:
    path, network = saved(tmp_path, FCN, NAMES)
    class_map = ["car", ["road", "sky"], None, 1]
    settings = FCN | {"weights": path, "class_map": class_map}
    built = build_network(settings, classes=4, class_names=["vehicle", "rest", "tree", "air"])
    own, mapped = logits(network), logits(built)
    assert_close(mapped[:, 0], own[:, NAMES.index("car")])
    places = [NAMES.index("road"), NAMES.index("sky")]
    assert_close(mapped[:, 1], own[:, places].exp().sum(dim=1).log())
    assert (mapped[:, 2] < own.amin(dim=1)).all()
    assert_close(mapped[:, 3], own[:, 1])
    assert {"backbone", "head", "logits"} <= set(built.taps)
