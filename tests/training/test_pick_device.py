"""Devices by the words of configs and commands."""

import pytest
import torch

from segdistill.errors import ConfigError
from segdistill.training.pick_device import pick_device


def test_a_device_is_picked_by_word() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ConfigError, match="expected auto, cpu or cuda, got 'gpu'"):
        pick_device("gpu")
