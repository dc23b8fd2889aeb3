"""Training images for quantisation: some for calibration, others for choosing layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.data.carving import Subset
from segdistill.delivery.contract import Images
from segdistill.errors import DataError
from segdistill.types import SegDataset


@dataclass(frozen=True)
class Calibration:
    """The images that quantisation uses, none of them from the reported split.

    Attributes:
        images: images for measuring ranges, in the input format of the file.
        held: other training images, with masks, for testing a file.
    """

    images: tuple[np.ndarray, ...]
    held: SegDataset


def read_calibration(
    dataset: SegDataset, count: int, size: tuple[int, int], *, images: Images, held: int = 32
) -> Calibration:
    """Read calibration images, evenly spread over the training images.

    Args:
        dataset: the training images.
        count: number of images for calibration.
        size: height and width to which they are resized.
        images: input format of the file.
        held: number of other images for choosing layers; fewer if there are not enough.

    Raises:
        DataError: there are fewer than two images.
    """
    if len(dataset) < 2 or count < 1:
        raise DataError(
            f"export: expected at least 2 training images, 1 of them for calibration, got "
            f"{len(dataset)} and {count}"
        )
    count = min(count, len(dataset) - 1)
    chosen = _spread(range(len(dataset)), count)
    others = [index for index in range(len(dataset)) if index not in set(chosen)]
    return Calibration(
        tuple(_as_taken(as_tensor(dataset, index), size, images) for index in chosen),
        Subset(dataset, _spread(others, min(held, len(others)))),
    )


def as_tensor(dataset: SegDataset, index: int) -> Tensor:
    """Return an image of a dataset, ``(1, 3, H, W)``, float in [0, 1]."""
    image = torch.from_numpy(np.array(dataset[index].image, order="C"))
    return image.permute(2, 0, 1)[None].float() / 255


def _as_taken(image: Tensor, size: tuple[int, int], images: Images) -> np.ndarray:
    resized = F.interpolate(image, size, mode="bilinear", antialias=True).clamp(0, 1)
    array: np.ndarray = resized.numpy()
    return (array * 255).round().astype(np.uint8) if images == "uint8" else array


def _spread(indices: range | list[int], count: int) -> list[int]:
    return [indices[number * len(indices) // count] for number in range(count)]
