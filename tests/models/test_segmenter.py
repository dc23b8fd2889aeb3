"""The segmenter: logits at its own stride, its own normalisation, its auxiliary head."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.catalogue.networks import NETWORKS
from segdistill.models import build_network
from segdistill.models.segmenter import Segmenter
from segdistill.types import SegOutput

SMALL = {"backbone": "mobilenetv2_035", "width": 16}


def small(network: str = "deeplabv3", **settings: object) -> Segmenter:
    built = build_network({"network": network, **SMALL, **settings}, classes=5, seed=0)
    assert isinstance(built, Segmenter)
    return built


@pytest.mark.parametrize("name", ["deeplabv3", "reduced_deeplabv3", "pspnet", "fcn", "lraspp"])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_logits_come_at_the_networks_own_stride(name: str, stride: int) -> None:
    network = small(name, output_stride=stride).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 3, 192, 224))
    assert isinstance(output, SegOutput)
    assert output.auxiliary is None
    assert output.logits.shape == (1, 5, 192 // network.stride, 224 // network.stride)
    assert network.stride == (8 if name == "lraspp" else stride)


def test_a_size_that_no_stride_divides_is_rounded_up() -> None:
    with torch.no_grad():
        assert small().eval()(torch.rand(1, 3, 97, 131)).logits.shape[2:] == (7, 9)


def test_normalises_its_own_input() -> None:
    network = small().eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps = network.backbone((images - network.mean) / network.std)
        expected = network.classifier(network.head(maps))
        assert_close(network(images).logits, expected)
    assert_close(network.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))


def test_the_auxiliary_head_runs_in_training_mode_alone() -> None:
    network = small(auxiliary=True)
    images = torch.rand(2, 3, 64, 64)
    output = network.train()(images)
    assert output.auxiliary is not None
    assert output.auxiliary.shape == output.logits.shape
    assert network.eval()(images).auxiliary is None


@pytest.mark.parametrize("name", ["deeplabv3", "reduced_deeplabv3", "pspnet", "fcn", "lraspp"])
def test_every_parameter_learns(name: str) -> None:
    network = small(name, auxiliary=True).train()
    output = network(torch.rand(2, 3, 96, 96))
    (output.logits.square().mean() + output.auxiliary.square().mean()).backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter


@pytest.mark.long
def test_compiles_without_a_graph_break() -> None:
    torch._dynamo.reset()
    network = small("pspnet", output_stride=8).eval()
    images = torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        compiled = torch.compile(network, backend="eager", fullgraph=True)
        assert_close(compiled(images).logits, network(images).logits)


def test_runs_under_autocast_in_channels_last() -> None:
    network = small().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.rand(2, 3, 64, 64)).logits
    logits.float().mean().backward()
    assert logits.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), r"got torch.uint8.*images.float\(\) / 255"),
        (torch.zeros(3, 64, 64), r"expected float images \(N, 3, H, W\)"),
        (torch.zeros(2, 1, 64, 64), r"got torch.float32 \(2, 1, 64, 64\)"),
        (torch.zeros(1, 3, 64, 64), "at least 2 images in a training batch"),
    ],
)
def test_refuses_images_that_are_none(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"Segmenter: .*{message}"):
        small().train()(images)


def test_refuses_an_image_smaller_than_the_heads_bins() -> None:
    network = small("pspnet", output_stride=8).eval()
    assert network.smallest_image == 41
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 41, 41)).logits.shape[2:] == (6, 6)
        with pytest.raises(ValueError, match=r"at least 41 pixels per side.*larger crop"):
            network(torch.zeros(1, 3, 40, 64))


def test_every_row_of_the_table_is_tested_here_or_has_its_own_file() -> None:
    assert {"deeplabv3", "reduced_deeplabv3", "pspnet", "fcn", "lraspp"} <= set(NETWORKS)
