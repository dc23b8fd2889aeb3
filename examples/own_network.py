"""Distil into an nn.Module of your own: name its class, and its inner maps.

python examples/own_network.py [FOLDER]
"""

import sys
from pathlib import Path

import segdistill  # isort: skip  (before torch, whose threads then sleep while they wait)
import torch
from torch import nn

from segdistill.runs.result import read_result
from segdistill.runs.student import student_file

CONFIG = """\
data: {dataset: scenes, size: [64, 96], train_images: 32, val_images: 8, crop: [48, 64]}
teacher: {network: fcn, backbone: resnet10t, output_stride: 16, width: 32}
student:
  network: import:own_network:Thin # module:class or function; a local one needs PYTHONPATH=.
  args: {width: 24, classes: 11}
  mean: [0.485, 0.456, 0.406] # images come normalised like this
  std: [0.229, 0.224, 0.225]
  taps: {backbone: stages.3} # any module path: segdistill list taps CONFIG
distill:
  - {loss: layer_angular, tap: backbone, weight: 1.0}
  - {loss: pixelwise_kl}
training: {steps: 20, lr: 0.05, log_every: 5}
"""


class Thin(nn.Module):
    """Four strided convolutions and a classifier: any code that returns logits will do."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
                for channels in (3, width, width, width)
            )
        )
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.stages(images))


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/own-network")
    out.mkdir(parents=True, exist_ok=True)
    (out / "own.yaml").write_text(CONFIG)
    as_student = "student={network: fcn, backbone: resnet10t, output_stride: 16, width: 32}"
    (teacher,) = segdistill.train(out / "own.yaml", out / "teacher", overrides=[as_student])
    weights = f"teacher.weights={student_file(teacher)}"
    (student,) = segdistill.distill(out / "own.yaml", out / "student", overrides=[weights])
    for run in (teacher, student):
        result = read_result(run).as_dict()
        print(f"{result['name']}: mIoU {100 * result['miou']:.1f} %, {result['params_m']:.3f} M")
