"""Holding out a part of the training images, to choose settings on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from segdistill.errors import DataError
from segdistill.types import Classes, Sample, SegDataset

HOLDOUT = "holdout"
"""The split that ``data.holdout`` makes of training images."""

_BLOCKS = 20


class Subset:
    """Some images of a dataset, in a given order.

    Args:
        dataset: images with masks.
        indices: which of its images, in the order wanted.
    """

    def __init__(self, dataset: SegDataset, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = tuple(indices)

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self.dataset.classes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[index]]


def carve(dataset: SegDataset, share: float, part: Literal["kept", "held"]) -> Subset:
    """Return the images of a dataset that are trained on, or those that are held out.

    The dataset is cut, in its own order, into 20 blocks (or one per image, where there are
    fewer), of which evenly spread ones are held out. Neighbouring frames of a video look
    alike, so images drawn one by one would leak from one part to the other.

    Args:
        dataset: the training images.
        share: share of the images to hold out, in (0, 1); rounded to whole blocks.
        part: which of the two parts.

    Raises:
        DataError: a part would be empty.
    """
    count = len(dataset)
    blocks = min(_BLOCKS, count)
    held_blocks = round(share * blocks)
    if not 0 < held_blocks < blocks:
        raise DataError(
            f"data.holdout: expected a share that leaves images in both parts, got {share:g} of "
            f"{count} images; choose one between {1 / blocks:g} and {1 - 1 / blocks:g}"
        )
    held = {(2 * i + 1) * blocks // (2 * held_blocks) for i in range(held_blocks)}
    wanted = part == "held"
    return Subset(dataset, [i for i in range(count) if (i * blocks // count in held) == wanted])
