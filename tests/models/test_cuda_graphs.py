"""A recorded network: the same output and maps in the same places, and nothing learnt by recording.

Recording itself needs a GPU (tests/training/test_on_a_gpu.py); here it only runs the network.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models.cuda_graphs import GraphedNetwork
from segdistill.models.taps import record, set_taps
from segdistill.types import SegOutput

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Heads(nn.Module):
    """A network with a norm, and with no, one or several auxiliary heads."""

    def __init__(self, heads: str) -> None:
        super().__init__()
        self.heads = heads
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.classifier, self.other = nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 1)
        set_taps(self, {"backbone": "body", "logits": "classifier"})

    def forward(self, images: Tensor) -> SegOutput:
        features = self.body(images)
        one = self.other(features)
        auxiliary = {"none": None, "one": one, "several": (one, 2 * one)}[self.heads]
        return SegOutput(self.classifier(features), auxiliary)


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_once(module: nn.Module, images: tuple[Tensor, ...], **_: Any) -> nn.Module:
        module(*images)
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", run_once)


@pytest.mark.parametrize("heads", ["none", "one", "several"])
def test_it_gives_what_the_network_gives(heads: str) -> None:
    torch.manual_seed(0)
    network = Heads(heads).train()
    output, maps = GraphedNetwork(network, ["logits", "backbone"], IMAGES)(IMAGES)
    with record(network, ["logits", "backbone"]) as expected:
        given = network(IMAGES)
    assert_close(output, given)
    assert_close(maps, expected)
    assert type(output.auxiliary) is type(given.auxiliary)


def test_recording_leaves_the_statistics_of_norms_as_they_were() -> None:
    network = Heads("none").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    GraphedNetwork(network, ["logits"], IMAGES)
    assert_close(network.state_dict(), before, rtol=0, atol=0)
