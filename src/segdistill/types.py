"""The records that pass between packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

IGNORE_INDEX = 255
"""Label of a position that has no class: never trained on, never scored."""


class SegOutput(NamedTuple):
    """What a network returns for images ``(N, 3, H, W)``.

    Attributes:
        logits: ``(N, K, h, w)`` at the network's own stride, not resized to the images.
        auxiliary: logits of the auxiliary head, for training only; those of each head where
            there are several, or None.
    """

    logits: Tensor
    auxiliary: Tensor | tuple[Tensor, ...] | None = None


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        images: uint8 RGB ``(N, 3, H, W)``; the network normalises.
        labels: int64 ``(N, H, W)``, 255 where a position has no class.
        valid: bool ``(N, H, W)``, False where augmentation added padding.
    """

    images: Tensor
    labels: Tensor
    valid: Tensor


class Sample(NamedTuple):
    """One image of a dataset with its mask; arrays may be memory-mapped.

    Attributes:
        image: uint8 RGB ``(H, W, 3)``.
        mask: uint8 train ids ``(H, W)``, 255 where a position has no class, or None where
            the split has no masks.
        name: name in errors, tables and written files, unique within the split.
    """

    image: np.ndarray
    mask: np.ndarray | None
    name: str


@dataclass(frozen=True)
class Classes:
    """Names and display colours of a dataset's classes, in the order of their ids."""

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]

    def __len__(self) -> int:
        return len(self.names)


class SegDataset(Protocol):
    """Images with masks, by index."""

    @property
    def classes(self) -> Classes: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


TapMaps = Mapping[str, Tensor]
"""Feature maps ``(N, C, h, w)`` by tap name."""
