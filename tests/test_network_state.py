"""A network's device and modes."""

import pytest
import torch
from torch import nn

from segdistill.network_state import device_of, evaluating


def test_the_device_is_that_of_weights_or_else_of_buffers_or_else_the_cpu() -> None:
    buffered = nn.Module()
    buffered.register_buffer("mean", torch.zeros(1, device="meta"))
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(buffered) == torch.device("meta")
    assert device_of(nn.Identity()) == torch.device("cpu")


def test_every_module_gets_its_own_mode_back_after_an_error_too() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1).eval())
    modes = []
    with pytest.raises(KeyError), evaluating(network):
        raise KeyError(modes.extend(module.training for module in network.modules()))
    assert modes == [False, False, False]
    assert [module.training for module in network.modules()] == [True, True, False]
