"""Settings of how stored numbers become 8-bit RGB: one range and one choice of bands a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.errors import ConfigError, DataError


@dataclass(frozen=True)
class Pixels:
    """How the stored numbers of a dataset's images are read.

    Attributes:
        range: what is black and what is white in files of more than 8 bits.
        bands: which of the stored bands, from 0, are red, green and blue.
    """

    range: tuple[float, float] | None = None
    bands: tuple[int, int, int] | None = None


AS_STORED = Pixels()
"""8 bits as they are, 16 bits over their whole range, all three bands."""


def pixels(
    *, range: tuple[float, float] | None = None, bands: tuple[int, int, int] | None = None
) -> Pixels:
    """Return the settings of a dataset, checked.

    Args:
        range: numbers that are black and white in files of more than 8 bits, such as
            ``[0, 4095]`` for 12-bit cameras; one for the whole dataset. Without it 16 bits are
            read from 0 to 65535, and 32 bits are refused. 8-bit files stay as they are.
        bands: three of the stored bands, from 0, that become red, green and blue; without it
            files of more bands than RGB and transparency are refused.

    Raises:
        ConfigError: the range is empty, or a band is below 0.
    """
    if range is not None and not range[0] < range[1]:
        raise ConfigError(f"data.range: expected [black, white], got {list(range)}; swap them")
    if bands is not None and min(bands) < 0:
        raise ConfigError(f"data.bands: expected numbers of bands from 0, got {list(bands)}")
    return Pixels(range, bands)


def pixels_of_config(settings: Mapping[str, Any]) -> Pixels:
    """Return how a config's dataset reads images, for images that are not of the dataset."""
    return pixels(range=settings.get("range"), bands=settings.get("bands"))


def to_rgb(stored: np.ndarray, path: Path, how: Pixels) -> np.ndarray:
    """Return the stored numbers of an image as 8-bit RGB.

    Args:
        stored: the numbers, of any type; a fourth band is transparency, as are two bands' second.
        path: what messages call the file.
        how: range and bands.

    Shape:
        stored ``(H, W, bands)``; result uint8 ``(H, W, 3)``.

    Raises:
        DataError: the file has not the bands, or its numbers do not say what is white.
    """
    bands = stored.shape[2]
    if how.bands is not None:
        if max(how.bands) >= bands:
            raise DataError(
                f"{path}: expected the bands {list(how.bands)} of data.bands, got a file with "
                f"bands 0 to {bands - 1}; correct data.bands"
            )
        stored = stored[..., list(how.bands)]
    else:
        stored = stored[..., [0, 0, 0]] if bands < 3 else stored[..., :3]
    if stored.dtype == np.uint8:
        return np.ascontiguousarray(stored)
    if how.range is None and stored.dtype != np.uint16:
        raise DataError(
            f"{path}: expected 8 or 16 bits per value, got {stored.dtype}, which does not define "
            f"white (the values are {stored.min():g} to {stored.max():g}); set "
            "data.range=[black, white] for the whole dataset"
        )
    low, high = how.range or (0.0, 65535.0)
    scaled = (stored.astype(np.float64) - low) * (255.0 / (high - low)) + 0.5
    return np.clip(np.nan_to_num(scaled), 0, 255).astype(np.uint8)
