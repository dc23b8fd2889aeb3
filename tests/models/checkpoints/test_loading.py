"""Files that fit too little: how many fit, the first that does not, the likely cause."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import load_weights
from segdistill.models.checkpoints.matching import match_names, match_order


def network(depth: int = 2, classes: int = 3) -> nn.Module:
    torch.manual_seed(depth + classes)
    layers = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(depth))
    return nn.ModuleDict({"layers": layers, "classifier": nn.Conv2d(4, classes, 1)})


def refusal(target: nn.Module, state: dict[str, Tensor], folder: Path) -> str:
    torch.save(state, folder / "a.pth")
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(target, folder / "a.pth")
    assert_close(target.state_dict(), before, atol=0, rtol=0)
    return str(caught.value)


def test_a_deeper_network_of_the_family_is_refused_though_all_names_are_there(
    tmp_path: Path,
) -> None:
    message = refusal(network(2), network(3).state_dict(), tmp_path)
    assert "6 of 6 fit: extra (2): layers.2.weight, layers.2.bias" in message
    assert "deeper network" in message


def test_a_part_of_the_network_is_refused(tmp_path: Path) -> None:
    state = {k: v for k, v in network().state_dict().items() if "layers" in k}
    message = refusal(network(), state, tmp_path)
    assert "4 of 6 fit: missing (2): classifier.weight, classifier.bias" in message
    assert "backbone_weights" in message


def test_other_classes_are_refused_with_both_counts(tmp_path: Path) -> None:
    message = refusal(network(classes=3), network(classes=5).state_dict(), tmp_path)
    assert "classifier.weight (5, 4, 1, 1) where the network has (3, 4, 1, 1)" in message
    assert "seems to distinguish 5 classes where the data have 3" in message


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    message = refusal(network(), nn.LSTM(2, 2).state_dict(), tmp_path)
    assert "0 of 6 fit: missing (6): layers.0.weight" in message
    assert "another kind of network" in message


def test_two_networks_that_fit_are_refused_by_their_prefixes(tmp_path: Path) -> None:
    state = network().state_dict()
    both = {
        f"{prefix}.{name}": each for prefix in ("left", "right") for name, each in state.items()
    }
    message = refusal(network(), both, tmp_path)
    assert "several that fit, under 'left.', 'right.'" in message


def test_the_prefix_that_explains_most_is_found_whatever_it_is_called() -> None:
    expected = {"a.weight": (1,), "b.weight": (2,)}
    found = {f"deep.own.{name}": torch.zeros(shape) for name, shape in expected.items()}
    match = match_names(expected, found | {"a.weight": torch.zeros(9)})
    assert match.prefix == "deep.own."
    assert match.names["a.weight"] == "deep.own.a.weight"


def test_order_counts_only_where_every_shape_agrees() -> None:
    reference = {"stem": (2, 3), "norm.num_batches_tracked": (), "block": (4,), "head": (5, 4)}
    tensors = {"_x": torch.zeros(2, 3), "_y": torch.zeros(4), "_z": torch.zeros(5, 4)}
    match = match_order(reference, tensors)
    assert match is not None
    assert match.names == {"stem": "_x", "block": "_y", "head": "_z"}
    assert match_order(reference, dict(list(tensors.items())[:2])) is not None  # no classifier
    assert match_order(reference, {**tensors, "_y": torch.zeros(5)}) is None
    assert match_order(reference, {**tensors, "_more": torch.zeros(1)}) is None
    assert match_order(reference, {"_y": tensors["_y"], "_x": tensors["_x"]}) is None


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    state = network().state_dict()
    state["classifier.weight"] = state["classifier.weight"].clone()
    state["classifier.weight"][0, 0] = value
    message = refusal(network(), state, tmp_path)
    assert "nan or infinite ones in 1 of 6 tensors: classifier.weight; the file is" in message


def test_buffers_may_be_infinite(tmp_path: Path) -> None:
    masked = network()
    masked.register_buffer("mask", torch.full((2, 2), -torch.inf))
    torch.save(masked.state_dict(), tmp_path / "a.pth")
    load_weights(masked, tmp_path / "a.pth")
