"""Drawn street scenes: a dataset with exact masks that needs no download."""

from __future__ import annotations

import numpy as np

from segdistill.data.scenes.canvas import CLASSES
from segdistill.data.scenes.drawing import draw_scene
from segdistill.errors import DataError
from segdistill.seeding import derive
from segdistill.types import Classes, Sample

_KEPT_BYTES = 64 * 2**20  # the default 300 scenes take 25 MB; more than fit are drawn each time


def scenes(
    *,
    split: str,
    size: tuple[int, int] = (128, 160),
    train_images: int = 300,
    val_images: int = 100,
    scene_seed: int = 0,
) -> Scenes:
    """Return drawn street scenes.

    Every image is a function of (scene_seed, split, index): the same on every machine with the
    same numpy, and whatever else is drawn.

    Args:
        split: ``train`` or ``val``.
        size: height and width, px.
        train_images: number of images in ``train``.
        val_images: number of images in ``val``.
        scene_seed: seed of all scenes.

    Returns:
        The split, drawn when asked for and then kept in memory, up to 64 MiB per process.

    Raises:
        DataError: another split.
        ValueError: a size below 32 px, or no images.
    """
    counts = {"train": train_images, "val": val_images}
    if split not in counts:
        raise DataError(f"scenes: expected split train or val, got {split!r}")
    return Scenes(split, (size[0], size[1]), counts[split], scene_seed)


class Scenes:
    """One split of drawn street scenes; see :func:`scenes`.

    Args:
        split: ``train`` or ``val``; their scenes differ.
        size: height and width, px.
        count: number of images.
        seed: seed of all scenes.

    Raises:
        ValueError: a size below 32 px, or no images.
    """

    def __init__(self, split: str, size: tuple[int, int], count: int, seed: int) -> None:
        if min(size) < 32:
            raise ValueError(f"Scenes: expected a size of at least 32×32 px, got {size}")
        if count < 1:
            raise ValueError(f"Scenes: expected at least one image in {split}, got {count}")
        self.split, self.size, self.count, self.seed = split, size, count, seed
        self._drawn: dict[int, Sample] = {}

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return CLASSES

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Draw one scene, or return it from memory."""
        if not 0 <= index < self.count:
            raise IndexError(f"Scenes: expected an index below {self.count}, got {index}")
        if index in self._drawn:
            return self._drawn[index]
        rng = np.random.default_rng(derive(self.seed, f"scenes/{self.split}", index))
        sample = Sample(*draw_scene(rng, *self.size), f"{self.split}_{index:04d}")
        if (len(self._drawn) + 1) * 4 * self.size[0] * self.size[1] <= _KEPT_BYTES:
            self._drawn[index] = sample
        return sample
