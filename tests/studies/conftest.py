"""A study so small that each of its runs takes a quarter of a second."""

from collections.abc import Callable
from typing import Any

import pytest

from segdistill.config import StudyConfig, Tree, check_study, merge, override

SMALL: Tree = {
    "data": {
        "dataset": "scenes",
        "size": [48, 64],
        "train_images": 10,
        "val_images": 3,
        "batch_size": 4,
        "crop": [32, 48],
    },
    "teacher": {
        "network": "fcn",
        "backbone": "resnet10t",
        "output_stride": 16,
        "width": 16,
        "untrained": True,
    },
    "student": {
        "network": "lraspp",
        "backbone": "mobilenetv2_035",
        "output_stride": 16,
        "width": 16,
    },
    "methods": {"kl": [{"loss": "pixelwise_kl"}], "lad": [{"loss": "layer_angular"}]},
    "training": {"steps": 4, "lr": 0.02, "checkpoint_every": 2, "log_every": 2, "device": "cpu"},
    "evaluation": {"pictures": 0},
    "search": {"trials": 2, "sampler": "random", "holdout": 0.3},
    "seeds": 2,
    "engine": {"threads": 1},
}

Make = Callable[..., StudyConfig]


@pytest.fixture(scope="session")
def small() -> Make:
    """Return a function from override words and sections to a small study."""

    def make(*words: str, **sections: Any) -> StudyConfig:
        return check_study(override(merge(SMALL, sections), words))

    return make
