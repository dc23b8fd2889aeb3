"""Cost: torch's counter, against counts by hand."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segdistill.delivery.cost import Cost, count, count_as_cirkd
from segdistill.models import build_network
from segdistill.types import SegOutput

SMALL = {"network": "fcn", "backbone": "mobilenetv2_035", "width": 8, "auxiliary": True}


class Two(nn.Module):
    """A strided and a dilated convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(4, 6, 3, padding=5, dilation=5, groups=2)

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.second(self.first(images)))


def test_a_count_worked_out_by_hand() -> None:
    first, second = 3 * 4 * 9 * 10 * 15, 2 * 6 * 9 * 10 * 15
    macs = (first + second) / 1e9
    parameters = (3 * 4 * 9 + 2 * 6 * 9 + 6) / 1e6
    assert count(Two(), (20, 30)) == Cost(parameters, pytest.approx(macs), pytest.approx(2 * macs))


def test_cirkds_count_worked_out_by_hand() -> None:
    # The dilated one: 10 + 2·5 − 3 + 1 = 18 rows and 15 + 2·5 − 3 + 1 = 23 columns.
    macs = 3 * 4 * 9 * 10 * 15 + 2 * 6 * 9 * 18 * 23
    assert count_as_cirkd(Two(), (20, 30)).gmacs == pytest.approx(macs / 1e9)


def test_the_auxiliary_head_counts_when_asked_for() -> None:
    network = build_network(SMALL, classes=5, seed=0)
    plain = build_network({**SMALL, "auxiliary": False}, classes=5, seed=0)
    assert count(network, (64, 64)) == count(plain, (64, 64))
    both = count(network, (64, 64), auxiliary=True)
    assert both.params_m == pytest.approx(sum(p.numel() for p in network.parameters()) / 1e6)
    assert both.gmacs > count(plain, (64, 64)).gmacs
    assert count_as_cirkd(network, (64, 64)).params_m == both.params_m


def test_the_network_is_left_as_it_was() -> None:
    network = build_network(SMALL, classes=5, seed=0).train()
    count(network, (64, 64))
    assert network.training
    assert network.auxiliary is not None
    assert network(torch.rand(2, 3, 64, 64)).auxiliary is not None
    assert {each.device.type for each in network.parameters()} == {"cpu"}


def test_four_times_the_pixels_cost_four_times_as_much() -> None:
    network = build_network({**SMALL, "auxiliary": False}, classes=5, seed=0)
    assert count(network, (128, 128)).gmacs == pytest.approx(4 * count(network, (64, 64)).gmacs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_from_a_file_counts_like_its_modules(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 6, 1)).eval()
    torch.jit.script(network).save(str(tmp_path / "a.pt"))
    torch.export.save(torch.export.export(network, (torch.rand(1, 3, 20, 30),)), tmp_path / "a.pt2")
    for name in ("a.pt", "a.pt2"):
        program = build_network({"network": f"file:{tmp_path / name}"}, classes=6)
        assert count(program, (20, 30)) == count(network, (20, 30))
        with pytest.raises(ValueError, match="for CIRKD's counting, got a program from a file"):
            count_as_cirkd(program, (20, 30))


def test_refuses_a_size_that_the_network_cannot_take() -> None:
    network = build_network({"network": "pspnet", "backbone": "resnet18"}, classes=5)
    with pytest.raises(ValueError, match="at least 41 pixels"):
        count(network, (32, 32))
    with pytest.raises(ValueError, match="cost: expected a network that runs on an image of 1x1"):
        count(nn.Conv2d(3, 3, 3), (1, 1))
