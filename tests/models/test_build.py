"""From settings to a network: seeds, weights, taps and refusals."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from segdistill.errors import CheckpointError, ConfigError
from segdistill.models import build_network, save_network
from segdistill.models.taps import tap_paths

SMALL = {"network": "fcn", "backbone": "mobilenetv2_035", "width": 8, "output_stride": 16}


def test_equal_seeds_give_equal_weights_and_leave_torchs_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first = build_network(SMALL, classes=3, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    again = build_network(SMALL, classes=3, seed=1)
    other = build_network(SMALL, classes=3, seed=2)
    assert_close(again.state_dict(), first.state_dict(), atol=0, rtol=0)
    assert not torch.equal(other.classifier.weight, first.classifier.weight)


def test_loads_a_file_of_weights_instead_of_pretrained_ones(tmp_path: Path) -> None:
    network = build_network(SMALL, classes=3, seed=1)
    save_network(tmp_path / "a.safetensors", network, {})
    settings = {**SMALL, "weights": tmp_path / "a.safetensors", "pretrained": True}
    built = build_network(settings, classes=3, seed=9)
    assert_close(built.state_dict(), network.state_dict(), atol=0, rtol=0)


def test_a_teacher_of_other_classes_is_refused_by_its_file(tmp_path: Path) -> None:
    save_network(tmp_path / "a.safetensors", build_network(SMALL, classes=3), {})
    with pytest.raises(CheckpointError, match=r"classifier.weight \(3, 8, 1, 1\) where.*\(4, 8"):
        build_network({**SMALL, "weights": tmp_path / "a.safetensors"}, classes=4)


def test_names_taps_from_the_settings() -> None:
    network = build_network({**SMALL, "taps": {"early": "backbone.body.blocks.1"}}, classes=3)
    assert tap_paths(network)["early"] == "backbone.body.blocks.1"
    assert tap_paths(network)["logits"] == "classifier"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": "deeplab3"}, ConfigError, "got 'deeplab3'; did you mean 'deeplabv3'"),
        ({"backbon": "resnet18"}, ConfigError, "network fcn: .*'backbon'; did you mean 'backbone'"),
        ({"taps": {"x": "backbon"}}, ValueError, "tap 'backbon'.*did you mean 'backbone'"),
        ({"weights": "nowhere.safetensors"}, FileNotFoundError, "nowhere.safetensors"),
    ],
)
def test_refuses_settings_that_do_not_exist(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_network({**SMALL, **change}, classes=3)
