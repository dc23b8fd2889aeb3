"""ONNX files: the same logits at sizes that were not traced, onnxruntime as the oracle."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segdistill.delivery.onnx import export_onnx
from segdistill.delivery.opened import OpenedFile
from segdistill.delivery.opening import open_file
from segdistill.delivery.parity import compare, other_sizes
from segdistill.models import Adaptation, Adapter, build_network
from segdistill.types import Classes, SegOutput

SIZE = (64, 96)


def opened(folder: Path, classes: int) -> OpenedFile:
    names = Classes(tuple("abcde"[:classes]), ((0, 0, 0),) * classes)
    return open_file(folder / "a.onnx", "onnx", classes=names)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"network": "pspnet", "output_stride": 8, "bins": (1, 2, 3, 6)}, marks=pytest.mark.long
        ),
        {"network": "lraspp", "output_stride": 16},
    ],
    ids=lambda settings: settings["network"],
)
def test_agrees_with_the_network_at_three_other_sizes(
    settings: dict[str, object], tmp_path: Path
) -> None:
    small = {"backbone": "resnet10t", "width": 16}
    network = build_network({**small, **settings}, classes=5, seed=0).train()
    with torch.no_grad():  # statistics that matter
        network(torch.rand(4, 3, *SIZE))
    export_onnx(network, tmp_path / "a.onnx", SIZE)
    assert network.training
    assert [each.name for each in tmp_path.iterdir()] == ["a.onnx"]
    for parity in compare(network, opened(tmp_path, 5), other_sizes(SIZE)):
        assert parity.size != SIZE
        assert parity.largest_difference < 1e-4
        assert parity.agreement > 0.999


def test_the_last_of_the_other_sizes_fits_no_stride() -> None:
    sizes = other_sizes((64, 96))
    assert len({*sizes, (64, 96)}) == 4
    assert all(side % 8 for side in sizes[-1])


class Frozen(nn.Module):
    """Pools in the way that exports frozen to the traced size."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(3, 4, 1)

    def forward(self, images: Tensor) -> SegOutput:
        pooled = nn.functional.adaptive_avg_pool2d(images, 3)
        wide = nn.functional.interpolate(pooled, images.shape[2:], mode="bilinear")
        return SegOutput(self.classifier(images + wide))


def test_the_comparison_finds_a_pooling_that_was_frozen(tmp_path: Path) -> None:
    network = Frozen()
    export_onnx(network, tmp_path / "a.onnx", SIZE)
    (traced,) = compare(network, opened(tmp_path, 4), [SIZE])
    assert traced.largest_difference < 1e-5
    others = compare(network, opened(tmp_path, 4), other_sizes(SIZE))
    assert max(each.largest_difference for each in others) > 1e-3


def test_an_adapters_padding_and_class_order_are_in_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Adapter(
        nn.Conv2d(3, 5, 4, 4), 4, Adaptation(divisor=32, class_map=(4, 2, 0, 1))
    ).eval()
    export_onnx(network, tmp_path / "a.onnx", (64, 96))
    for parity in compare(network, opened(tmp_path, 4), [(64, 96), (85, 123), (33, 130)]):
        assert parity.largest_difference < 1e-4
        assert parity.agreement == 1.0


def test_a_file_that_does_not_run_says_why(tmp_path: Path) -> None:
    network = Frozen()
    export_onnx(network, tmp_path / "a.onnx", SIZE, static=True)
    (parity,) = compare(network, opened(tmp_path, 4), [(32, 32)])
    assert parity.largest_difference == float("inf")
    assert "invalid dimensions" in parity.failure
