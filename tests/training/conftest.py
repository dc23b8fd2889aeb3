"""A run so small that it takes a second: drawn scenes, a student and a teacher of 2-digit kB."""

from collections.abc import Callable
from typing import Any

import pytest

from segdistill import config
from segdistill.config import RunConfig

SMALL: config.Tree = {
    "data": {
        "dataset": "scenes",
        "size": [48, 64],
        "train_images": 6,
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
        "dropout": 0.2,
    },
    "distill": [{"loss": "layer_angular"}, {"loss": "pixelwise_kl"}],
    "training": {"steps": 6, "lr": 0.02, "checkpoint_every": 2, "log_every": 2, "device": "cpu"},
    "evaluation": {"pictures": 1},
}

Make = Callable[..., RunConfig]


@pytest.fixture
def small() -> Make:
    """Return a function from override words and sections to a small run's config."""

    def make(*words: str, **sections: Any) -> RunConfig:
        return config.check(config.override(config.merge(SMALL, sections), words))

    return make
