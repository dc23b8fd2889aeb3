"""Taps of anybody's network, by the paths that a config may name."""

from pathlib import Path

from segdistill.api.taps import taps
from segdistill.models import build_network
from segdistill.models.taps import TapShape, describe


def test_an_adapted_networks_taps_are_listed_once_and_can_be_named(tiny: Path) -> None:
    settings = {"network": "torchvision:lraspp_mobilenet_v3_large"}
    found = taps(tiny, overrides=[f"student.network={settings['network']}"])["student"]
    assert list(found)[:2] == ["logits", "backbone"]
    assert found["backbone"] == TapShape(960, 16)
    assert not [path for path in found if path.startswith("maps.")]
    network = build_network(settings, classes=11, seed=0)
    path = "network.backbone.4"
    assert describe(network, [path], (32, 48))[path] == found[path]
