"""Reading the part of a sample that a crop needs, from any kind of dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from segdistill.data.carving import Subset
from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import plain_ids
from segdistill.data.files.pixels import AS_STORED, Pixels
from segdistill.data.files.relabel import describe, stores_no_class_as_255
from segdistill.data.formats.hf import ArrowDataset
from segdistill.data.joining import Joined
from segdistill.data.pack.tiled import TiledDataset
from segdistill.data.pack.tiles import Window
from segdistill.data.transforms import Region
from segdistill.types import Sample, SegDataset

RegionOf = Callable[[tuple[int, int], np.ndarray | None], Region]
"""From the height and width of an image, and its mask if asked for, to the region of a crop."""


def read_part(
    dataset: SegDataset, index: int, region_of: RegionOf, *, look: bool
) -> tuple[Sample, tuple[int, int]]:
    """Read at least a region of one image and its mask.

    Args:
        dataset: images with masks.
        index: which image.
        region_of: returns the region.
        look: whether the region depends on the mask.

    Returns:
        The sample, right in the region at least (rows below it may be missing; with ``look`` the
        mask is whole), and the height and width of the whole image.

    Raises:
        DataError: the image cannot be read.
    """
    dataset, index = _source(dataset, index)
    if isinstance(dataset, FileDataset):
        if look and dataset.pairs[index].mask is not None:
            return dataset.read_below_mask(
                index, lambda mask: _bottom(region_of(_size(mask), mask))
            )
        return dataset.read_top(index, lambda size: _bottom(region_of(size, None)))
    if isinstance(dataset, TiledDataset):
        sample = dataset.read_window(
            index, lambda size, mask: _window(region_of(size, mask)), look=look
        )
        return sample, _size(sample.image)
    sample = dataset[index]
    return sample, _size(sample.image)


def read_mask_of(dataset: SegDataset, index: int) -> np.ndarray | None:
    """Read one mask, without its image where the dataset can.

    Raises:
        DataError: it cannot be read.
    """
    dataset, index = _source(dataset, index)
    if isinstance(dataset, FileDataset | TiledDataset):
        return dataset.read_mask(index)
    return dataset[index].mask


def name_of(dataset: SegDataset, index: int) -> str:
    """Return the name of one sample, without its image where the dataset can.

    Raises:
        DataError: the sample cannot be read.
    """
    if isinstance(dataset, Subset):
        return name_of(dataset.dataset, dataset.indices[index])
    if isinstance(dataset, Joined):
        split, part, place = dataset.locate(index)
        return f"{split}/{name_of(part, place)}"
    if isinstance(dataset, FileDataset):
        return dataset.pairs[index].name
    return dataset.names[index] if isinstance(dataset, TiledDataset) else dataset[index].name


def file_names(dataset: SegDataset) -> list[str] | None:
    """Return the names of all samples, None if there are no files that have them."""
    if not all(isinstance(part, FileDataset | TiledDataset) for part in whole_splits(dataset)):
        return None
    return [name_of(dataset, index) for index in range(len(dataset))]


def files_of(dataset: SegDataset, index: int) -> list[Path]:
    """Return the image and mask file of one sample, none if it has no files."""
    dataset, index = _source(dataset, index)
    if not isinstance(dataset, FileDataset):
        return []
    _, image, mask = dataset.pairs[index]
    return [dataset.root / file for file in (image, mask) if file is not None]


def describe_classes(dataset: SegDataset) -> list[str]:
    """Return one line for each class: id, name, colour and what mask files store for it."""
    source = _whole(dataset)
    if isinstance(source, FileDataset | ArrowDataset):
        return describe(source.classes, source.code)
    # Packed and drawn masks contain the ids of the classes.
    return describe(source.classes, plain_ids(len(source.classes)))


def pixels_of(dataset: SegDataset) -> Pixels:
    """Return how the stored numbers of a dataset's images become RGB."""
    source = _whole(dataset)
    return source.pixels if isinstance(source, FileDataset | ArrowDataset) else AS_STORED


def looks_up_colors(dataset: SegDataset) -> bool:
    """Return whether palette masks of a dataset are read as the colours that they show."""
    source = _whole(dataset)
    return isinstance(source, FileDataset | ArrowDataset) and source.code.looks_up_colors


def no_class_is_255(dataset: SegDataset) -> bool:
    """Return whether the masks of a dataset store 255 where a pixel has no class."""
    source = _whole(dataset)
    return not isinstance(source, FileDataset | ArrowDataset) or stores_no_class_as_255(source.code)


def whole_splits(dataset: SegDataset) -> list[SegDataset]:
    """Return the splits that a dataset is made of: one, or those that are joined."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return list(dataset.parts.values()) if isinstance(dataset, Joined) else [dataset]


def _source(dataset: SegDataset, index: int) -> tuple[SegDataset, int]:
    """Return the split that an image is of, and its place there."""
    if isinstance(dataset, Subset):
        return _source(dataset.dataset, dataset.indices[index])
    if isinstance(dataset, Joined):
        _, dataset, index = dataset.locate(index)
        return _source(dataset, index)
    return dataset, index


def _whole(dataset: SegDataset) -> SegDataset:
    """Return the split, the first of those that are joined, which all read files alike."""
    return whole_splits(dataset)[0]


def _bottom(region: Region) -> int:
    return region.top + region.height


def _window(region: Region) -> Window:
    return Window(region.top, region.left, region.height, region.width)


def _size(array: np.ndarray) -> tuple[int, int]:
    height, width = array.shape[:2]
    return height, width
