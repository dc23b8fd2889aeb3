"""Shifts: corruptions that images may meet in use, at severities from 1 to 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SEVERITIES = 5


@dataclass(frozen=True)
class Shift:
    """One row of ``SHIFTS``.

    Attributes:
        about: what the corruption does to the image.
        values: the parameter at severities 1 to 5.
        unit: unit of the values.
        source: where the values come from.
    """

    about: str
    values: tuple[float, float, float, float, float]
    unit: str
    source: str = "Hendrycks and Dietterich, ICLR 2019, code of ImageNet-C"


SHIFTS: Mapping[str, Shift] = {
    "noise": Shift(
        "Gaussian noise is added to every colour channel.",
        (0.08, 0.12, 0.18, 0.26, 0.38),
        "standard deviation, as a share of the largest value",
    ),
    "blur": Shift("A Gaussian blur.", (1.0, 2.0, 3.0, 4.0, 6.0), "sigma, px"),
    "contrast": Shift(
        "Colours are moved towards the mean of the image.",
        (0.4, 0.3, 0.2, 0.1, 0.05),
        "share of the contrast that is left",
    ),
    "brightness": Shift(
        "The HSV value of every colour is raised; hue and saturation are kept.",
        (0.1, 0.2, 0.3, 0.4, 0.5),
        "share of the largest value",
    ),
    "jpeg": Shift("The image is compressed as JPEG.", (25.0, 18.0, 15.0, 10.0, 7.0), "quality"),
}
"""Corruptions by name; each is a function of that name in ``data/shifts.py``."""
