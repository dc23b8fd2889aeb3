"""Images under the corruptions of ``catalogue.shifts``: the same every time, for every network."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image
from scipy import ndimage

from segdistill.catalogue.shifts import SEVERITIES, SHIFTS
from segdistill.checks import nearest
from segdistill.seeding import derive
from segdistill.types import Classes, Sample, SegDataset


def noise(image: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of a standard deviation, as a share of 255, to every colour."""
    return _as_bytes(image + 255 * deviation * random.standard_normal(image.shape))


def blur(image: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian of ``sigma`` px, cut off at four sigma, the border repeated."""
    return _as_bytes(
        ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest")
    )


def contrast(image: np.ndarray, left: float, random: np.random.Generator) -> np.ndarray:
    """Draw every colour towards its mean over the image, which leaves a share of the contrast."""
    mean = image.mean(axis=(0, 1), keepdims=True)
    return _as_bytes(mean + left * (image - mean))


def brightness(image: np.ndarray, raised: float, random: np.random.Generator) -> np.ndarray:
    """Raise the value (the largest of the three colours) by a share of 255; hue is kept."""
    value = image.max(axis=2, keepdims=True).astype(float)
    now = np.minimum(value + 255 * raised, 255)
    scaled = image * (now / np.maximum(value, 1))
    return _as_bytes(np.where(value > 0, scaled, now))


def jpeg(image: np.ndarray, quality: float, random: np.random.Generator) -> np.ndarray:
    """Compress as JPEG of a quality from 1 to 95, and read again."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, format="JPEG", quality=int(quality))
    return np.asarray(Image.open(encoded).convert("RGB"))


_FUNCTIONS: Mapping[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "brightness": brightness,
    "jpeg": jpeg,
}


def shift(image: np.ndarray, name: str, severity: int, *, index: int = 0) -> np.ndarray:
    """Return an image under a corruption.

    Args:
        image: uint8 RGB.
        name: in ``catalogue.shifts.SHIFTS``.
        severity: 1 to 5.
        index: of the image in its dataset, which its noise is drawn for.

    Shape:
        image and result uint8 ``(H, W, 3)``.

    Raises:
        ValueError: there is no such corruption or severity.
    """
    if name not in SHIFTS:
        raise ValueError(f"shift: unknown corruption '{name}'; {nearest(name, SHIFTS)}")
    if not 1 <= severity <= SEVERITIES:
        raise ValueError(f"shift: expected a severity from 1 to {SEVERITIES}, got {severity}")
    random = np.random.default_rng(derive(severity, f"shift {name}", index))
    return _FUNCTIONS[name](np.asarray(image), SHIFTS[name].values[severity - 1], random)


class Shifted:
    """A dataset whose images are corrupted and whose masks are not.

    Args:
        dataset: images with masks.
        name: see :func:`shift`.
        severity: see :func:`shift`.
    """

    def __init__(self, dataset: SegDataset, name: str, severity: int) -> None:
        self.dataset, self.name, self.severity = dataset, name, severity

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self.dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        return sample._replace(image=shift(sample.image, self.name, self.severity, index=index))


def _as_bytes(values: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded
