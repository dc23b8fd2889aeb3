"""Datasets, augmentation and the stream of training batches."""

from segdistill.data.build import build_dataset
from segdistill.data.inspection import inspect_data, verify
from segdistill.data.pictures import colorize
from segdistill.data.stream import Stream
from segdistill.data.submission import write_prediction
from segdistill.data.transforms import Recipe, augment

__all__ = [
    "Recipe",
    "Stream",
    "augment",
    "build_dataset",
    "colorize",
    "inspect_data",
    "verify",
    "write_prediction",
]
