"""Proof: a rewritten network is used where it is right, and the given one where it is not."""

import math

import pytest
import torch
from torch import Tensor, nn

from segdistill.models.proof import BOUND, full_precision, largest_error, observe, proven

IMAGE = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def run(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    return {"logits": network(images)}


def scale_by(factor: float) -> nn.Module:
    network = nn.Conv2d(3, 3, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(factor * torch.eye(3).reshape(3, 3, 1, 1))
    return network


@pytest.mark.parametrize(("factor", "right"), [(1 + BOUND / 2, True), (1 + 2 * BOUND, False)])
def test_a_rewriting_is_kept_within_the_bound_only(factor: float, right: bool) -> None:
    network = scale_by(1.0)
    cases = observe(lambda images: run(network, images), IMAGE)

    def rewrite(copy: nn.Module) -> None:
        copy.weight.data *= factor

    chosen, reason = proven(network, rewrite, run, cases)
    assert (chosen is not network) == right
    assert (reason == "") == right
    assert right or "tap 'logits' would differ by 0.0002 of its largest value" in reason
    assert torch.equal(network.weight, scale_by(1.0).weight)


class Sized(nn.Module):
    """A network that works otherwise on small images, as one that crops or pools does."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = scale_by(1.0), scale_by(1.0)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = (self.small if images.shape[2] < 64 else self.large)(images)
        return result


def test_a_rewriting_that_is_wrong_at_another_size_is_seen() -> None:
    network = Sized()
    cases = observe(lambda images: run(network, images), IMAGE)
    assert [tuple(images.shape[2:]) for images, _ in cases] == [(64, 96), (32, 64)]
    chosen, reason = proven(network, lambda copy: copy.small.weight.data.mul_(2), run, cases)
    assert chosen is network
    assert "on an image of 32x64" in reason


def test_a_rewriting_that_fails_is_a_reason_and_no_error() -> None:
    network = scale_by(1.0)
    cases = observe(lambda images: run(network, images), IMAGE)

    def rewrite(copy: nn.Module) -> None:
        copy.weight = nn.Parameter(torch.zeros(3, 4, 1, 1))

    chosen, reason = proven(network, rewrite, run, cases)
    assert chosen is network
    assert reason.startswith("it would fail with RuntimeError: ")


class Picky(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (64, 96):
            raise ValueError("another size")
        return images


def test_a_size_that_a_network_refuses_is_left_out_but_never_the_real_image() -> None:
    cases = observe(lambda images: run(Picky(), images), IMAGE)
    assert torch.equal(cases[0][0], IMAGE)
    assert [tuple(images.shape[2:]) for images, _ in cases] == [(64, 96), (64, 96)]
    assert 0 <= cases[1][0].min() < 0.1 < 0.9 < cases[1][0].max() <= 1
    with pytest.raises(ValueError, match="another size"):
        observe(lambda images: run(Picky(), images), IMAGE[..., :32])


def test_the_largest_error_is_relative_and_never_hides_what_is_no_number() -> None:
    expected = {"small": torch.tensor([1e-3, 0.0]), "large": torch.tensor([1e3, 0.0])}
    given = {"small": torch.tensor([1e-3, 1e-4]), "large": torch.tensor([1e3 + 1, 0.0])}
    name, error = largest_error(given, expected)
    assert name == "small"
    assert error == pytest.approx(0.1)
    for broken in (torch.tensor([math.nan, 0.0]), torch.tensor([math.inf, 0]), torch.zeros(3)):
        assert largest_error({"small": broken}, {"small": expected["small"]})[1] == math.inf
    zeros = {"small": torch.zeros(2)}
    assert largest_error(zeros, zeros) == ("small", 0.0)
    assert largest_error(given, {"small": torch.zeros(2)})[1] == math.inf


def test_proofs_compute_in_float32_whatever_the_caller_has_set() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            with full_precision(torch.device("cpu")):
                assert not torch.is_autocast_enabled("cpu")
                assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
                assert torch.backends.cudnn.conv.fp32_precision == "ieee"
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)
