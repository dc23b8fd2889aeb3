"""A config file of a run that takes a second, and one finished run of it."""

from pathlib import Path

import pytest

from segdistill.api.train import train

TINY = """\
data:
  {dataset: scenes, size: [48, 64], train_images: 6, val_images: 3, batch_size: 4, crop: [32, 48]}
teacher: {network: fcn, backbone: resnet10t, output_stride: 16, width: 16, untrained: true}
student: {network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 16}
distill: [{loss: pixelwise_kl}]
training: {steps: 2, lr: 0.02, device: cpu}
evaluation: {pictures: 1, scales: [0.5], flip: true}
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the config file."""
    file = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    file.write_text(TINY)
    return file


@pytest.fixture(scope="session")
def run(tiny: Path) -> Path:
    """Return a finished run's folder."""
    (folder,) = train(tiny, tiny.parent / "run", overrides=["training.steps=3"])
    return folder
