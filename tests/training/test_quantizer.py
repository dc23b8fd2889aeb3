"""Training through the quantiser: grid, gradient and ranges; the network stays as it was."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.config import RunConfig
from segdistill.runs.student import student_file
from segdistill.training.build import build_cohort, build_data
from segdistill.training.quantizer import Quantizer, round_weight
from segdistill.training.run import run_cohort

Make = Callable[..., RunConfig]


def test_a_weight_lies_on_its_channels_grid() -> None:
    convolution = nn.Conv2d(2, 2, 1, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[1.27, 0.006], [-2.54, 0.031]]).reshape(2, 2, 1, 1))
    # Scales 0.01 and 0.02: 0.006 becomes 0.01, and 0.031 becomes 0.04.
    expected = torch.tensor([[1.27, 0.01], [-2.54, 0.04]]).reshape(2, 2, 1, 1)
    assert_close(round_weight(convolution), expected)
    turned = nn.ConvTranspose2d(2, 2, 1, bias=False)
    turned.weight = nn.Parameter(convolution.weight.transpose(0, 1).detach())
    assert_close(round_weight(turned), expected.transpose(0, 1))


def test_rounding_before_a_batch_norm_is_rounding_after_it_is_folded() -> None:
    torch.manual_seed(0)
    convolution, factor = nn.Conv2d(3, 4, 3), torch.randn(4, 1, 1, 1)
    rounded = round_weight(convolution)
    with torch.no_grad():
        convolution.weight.mul_(factor)
    assert_close(round_weight(convolution), rounded * factor)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.second = nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(self.first(images).relu())


def test_equals_whole_numbers_worked_out_by_hand() -> None:
    torch.manual_seed(0)
    network, images = Two(), torch.rand(2, 3, 4, 5)
    quantizer = Quantizer(network)
    given = quantizer(network, images)
    hidden = nn.functional.conv2d(images, round_weight(network.first), network.first.bias).relu()
    scale = hidden.max().item() / 255  # the smallest is 0
    whole = np.round(hidden.detach().double().numpy() / scale)
    assert whole.max() == 255
    weight = round_weight(network.second).detach().double().numpy()[:, :, 0, 0]
    bias = network.second.bias.detach().double().numpy()
    expected = np.einsum("oc,nchw->nohw", weight, whole * scale) + bias[:, None, None]
    assert np.abs(given.detach().double().numpy() - expected).max() < 1e-5
    assert_close(quantizer.ranges[1], torch.tensor([0.0, hidden.max().item()]))
    assert quantizer.ranges[0].isnan().all()  # images are whole numbers already


def test_ranges_move_by_a_tenth_and_hold_zero() -> None:
    network = Two()
    quantizer = Quantizer(network)
    with torch.no_grad():
        network.first.weight.zero_()
        for value in (1.0, 3.0):
            network.first.bias.fill_(value)
            quantizer(network, torch.rand(1, 3, 2, 2))
    assert_close(quantizer.ranges[1], torch.tensor([0.0, 1.2]))


def test_the_gradient_passes_inside_the_range_and_reaches_the_networks_own_weights() -> None:
    torch.manual_seed(0)
    network, images = Two(), torch.rand(2, 3, 4, 5)
    quantizer, plain = Quantizer(network), copy.deepcopy(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    quantizer(network, images).square().sum().backward()
    plain(images).square().sum().backward()
    for own, other in zip(network.parameters(), plain.parameters(), strict=True):
        assert own.grad is not None
        assert other.grad is not None
        assert torch.cosine_similarity(own.grad.flatten(), other.grad.flatten(), dim=0) > 0.99
    assert all(torch.equal(network.state_dict()[name], x) for name, x in before.items())
    assert not network.second._forward_pre_hooks
    assert torch.equal(network(images), plain(images))


def test_a_layer_with_two_names_keeps_its_weights() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    network.append(network[0])
    own = network[0].weight
    Quantizer(network)(network, torch.rand(1, 3, 2, 2)).sum().backward()
    assert network[0].weight is own
    assert own.grad is not None


def test_the_rounding_and_its_ranges_are_the_runs_alone(small: Make, tmp_path: Path) -> None:
    config = small("training.quantize=int8", distill=[])
    data = build_data(config)
    learner = build_cohort({"": config}, data.train.classes, train=data.train)[1][0]
    (run,) = run_cohort({"": config}, tmp_path / "run")
    both = run_cohort({"plain": small(distill=[]), "int8": config}, tmp_path / "cohort")
    student, plain, same = (load_file(student_file(each)) for each in (run, *both))
    assert student.keys() == plain.keys() == learner.network.state_dict().keys()
    assert any(not torch.equal(student[name], plain[name]) for name in student)
    assert all(torch.equal(student[name], same[name]) for name in student)
    state = learner.state()
    state["quantizer"]["ranges"] = torch.ones_like(state["quantizer"]["ranges"])
    learner.restore(state)
    assert torch.equal(learner.state()["quantizer"]["ranges"], state["quantizer"]["ranges"])
