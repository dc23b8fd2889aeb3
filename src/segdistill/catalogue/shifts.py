"""Shifts: what may happen to an image between training and use, at severities from 1 to 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SEVERITIES = 5


@dataclass(frozen=True)
class Shift:
    """One row of ``SHIFTS``.

    Attributes:
        about: what is done to the image.
        values: of severity 1 to 5.
        unit: of the values.
        source: where the values are from.
    """

    about: str
    values: tuple[float, float, float, float, float]
    unit: str
    source: str = "Hendrycks and Dietterich, ICLR 2019, code of ImageNet-C"


SHIFTS: Mapping[str, Shift] = {
    "noise": Shift(
        "Gaussian noise is added to every colour.",
        (0.08, 0.12, 0.18, 0.26, 0.38),
        "standard deviation, of the largest value",
    ),
    "blur": Shift("A Gaussian blur.", (1.0, 2.0, 3.0, 4.0, 6.0), "sigma, px"),
    "contrast": Shift(
        "Colours are drawn towards the mean of the image.",
        (0.4, 0.3, 0.2, 0.1, 0.05),
        "of the contrast left",
    ),
    "brightness": Shift(
        "The value of every colour is raised, hue and saturation kept.",
        (0.1, 0.2, 0.3, 0.4, 0.5),
        "of the largest value",
    ),
    "jpeg": Shift("The image is compressed as JPEG.", (25.0, 18.0, 15.0, 10.0, 7.0), "quality"),
}
"""Corruptions by name; each a function of the same name in ``data/shifts.py``."""
