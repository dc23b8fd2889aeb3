"""The tables of networks and heads: each is found in the file of its name."""

import pytest

from segdistill.catalogue.networks import HEADS, NETWORKS
from segdistill.catalogue.tables import load


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_lies_in_the_file_that_the_config_names(name: str) -> None:
    assert NETWORKS[name].target.startswith(f"networks.{name}:")
    assert callable(load("segdistill.models", NETWORKS[name].target))


@pytest.mark.parametrize("name", HEADS)
def test_a_head_lies_in_the_file_that_the_catalogue_names(name: str) -> None:
    assert HEADS[name].target.startswith(f"heads.{name}:")
    assert callable(load("segdistill.models", HEADS[name].target))
