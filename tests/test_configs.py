"""Every packaged recipe is a config that can be run."""

import pytest

from segdistill.catalogue import load_configs, read, recipe_files
from segdistill.errors import ConfigError


@pytest.mark.parametrize("name", recipe_files())
def test_every_recipe_is_a_valid_config(name: str) -> None:
    assert all(config.training.steps > 0 for config in load_configs(name).values())


@pytest.mark.parametrize("name", recipe_files())
def test_every_recipe_says_what_it_is_and_how_to_run_it(name: str) -> None:
    first, second = recipe_files()[name].read_text().splitlines()[:2]
    assert first.startswith("# ")
    assert first.endswith(".")
    assert second.startswith(("# segdistill train ", "# segdistill distill "))
    assert name in second


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'camvid/teacher'"):
        read("camvid/techer")
