"""Training augmentation, crop first: only the source region of the crop is ever resized."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as V

from segdistill.checks import check_positive
from segdistill.seeding import draws
from segdistill.types import IGNORE_INDEX, Sample

PAD_COLOR = (124, 116, 104)
"""The colour of padding: ImageNet's mean, which most networks normalise to 0."""

_ATTEMPTS = 10  # mmseg RandomCrop, cat_max_ratio; DAFormer's code for rare classes too

_RARE_SHARE = 1500 / 512**2  # DAFormer's code: min_pixels 3000, halved, of a crop of 512 × 512

_SHARES = (
    "flip", "blur", "max_class_share", "brightness", "contrast", "saturation", "rare_class",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How training samples are drawn from images.

    Attributes:
        crop: height and width of every sample, px.
        scale: smallest and largest factor that images are resized by, drawn uniformly.
        flip: share of samples that are mirrored; True is one half.
        brightness: largest relative change; 0 switches it off.
        contrast: largest relative change; 0 switches it off.
        saturation: largest relative change; 0 switches it off.
        hue: largest turn of the colour wheel, at most 0.5; 0 switches it off.
        blur: share of samples that get a Gaussian blur of sigma 0.15 to 1.15 px.
        max_class_share: a crop in which one class fills a larger share of the labelled pixels
            is drawn again, at most ten times; 1 switches it off, mmseg's protocol is 0.75.
        rare_class: share of samples whose image is drawn for a rare class; see
            :mod:`segdistill.data.rare`.
        rare_temperature: temperature of that draw; a small one prefers the rarest classes.

    Raises:
        ValueError: a value is out of its range.
    """

    crop: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    flip: float | bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    max_class_share: float = 1.0
    rare_class: float = 0.0
    rare_temperature: float = 0.01  # DAFormer Sec. 4.1

    def __post_init__(self) -> None:
        if len(self.crop) != 2 or min(self.crop) < 1:
            raise ValueError(f"Recipe: expected crop (height, width) above 0, got {self.crop}")
        low, high = self.scale
        if not (0 < low <= high and math.isfinite(high)):
            raise ValueError(f"Recipe: expected scale 0 < low <= high, got {self.scale}")
        for name in _SHARES:
            if not 0 <= float(getattr(self, name)) <= 1:
                raise ValueError(f"Recipe: expected {name} from 0 to 1, got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"Recipe: expected hue from 0 to 0.5, got {self.hue}")
        if self.max_class_share == 0:
            raise ValueError("Recipe: expected max_class_share above 0, got 0; 1 switches it off")
        check_positive("Recipe", rare_temperature=self.rare_temperature)

    @property
    def flip_share(self) -> float:
        """Share of samples that are mirrored."""
        return 0.5 if self.flip is True else float(self.flip)


@dataclass(frozen=True)
class Region:
    """Where a crop comes from and how large it becomes; the rest of the crop is padding.

    Attributes:
        top, left, height, width: the source region, px of the image.
        out_height, out_width: its size in the sample, px.
    """

    top: int
    left: int
    height: int
    width: int
    out_height: int
    out_width: int


def augment(
    sample: Sample,
    recipe: Recipe,
    seed: int,
    step: int,
    position: int,
    *,
    size: tuple[int, int] | None = None,
    wanted: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one training sample: scale, crop, flip, colour, blur.

    The result depends on the arguments alone. Resizing is bilinear with antialias for the
    image and nearest for the labels, both over the same source region, so they stay aligned
    to the sub-pixel. A sample without a mask gets the label 255 everywhere.

    Args:
        sample: image and mask of a dataset.
        recipe: how samples are drawn.
        seed: the stream's seed.
        step: index of the batch.
        position: index of the sample in the global batch.
        size: height and width of the whole image if the sample contains only its top.
        wanted: class that the crop should contain, where the image was drawn for it.

    Shape:
        Results: image uint8 ``(3, h, w)``, labels int64 ``(h, w)``, valid bool ``(h, w)``,
        where ``(h, w)`` is the recipe's crop; padding is at the right and at the bottom.

    Returns:
        Image, labels (255 for no class), and a mask that is False where the sample is padded.
    """
    draw = draws(seed, "augment", step, position)
    region = draw_region(size or _size(sample), sample.mask, recipe, draw, wanted=wanted)
    pad = (0, recipe.crop[1] - region.out_width, 0, recipe.crop[0] - region.out_height)
    image = resize_region(sample.image, region)
    labels = resize_labels(sample.mask, region)
    if draw.random() < recipe.flip_share:
        image, labels = image.flip(-1), labels.flip(-1)
    image = _recolor(image, recipe, draw)
    valid = torch.ones(labels.shape, dtype=torch.bool)
    if any(pad):
        padded = torch.tensor(PAD_COLOR, dtype=torch.uint8).reshape(3, 1, 1)
        padded = padded.repeat(1, *recipe.crop)
        padded[:, : region.out_height, : region.out_width] = image
        image = padded
        labels = F.pad(labels, pad, value=IGNORE_INDEX)
        valid = F.pad(valid, pad, value=False)
    return image.contiguous(), labels.long(), valid


def needs_mask(recipe: Recipe, wanted: int | None) -> bool:
    """Return whether the region of a crop depends on the mask."""
    return recipe.max_class_share < 1 or wanted is not None


def draw_region(
    size: tuple[int, int],
    mask: np.ndarray | None,
    recipe: Recipe,
    draw: random.Random,
    *,
    wanted: int | None = None,
) -> Region:
    """Draw the scale and the region of the crop.

    Args:
        size: height and width of the image, px.
        mask: read only if :func:`needs_mask`.
        recipe: crop, scale and largest class share.
        draw: source of randomness.
        wanted: a class that has to fill 0.6 % of the crop; the region is drawn again where it
            does not, at most ten times.

    Returns:
        A region of whole source pixels, so its scale may differ from the one drawn, by less
        than half a source pixel over the crop on each axis.
    """
    scale = draw.uniform(*recipe.scale)
    height, out_height = _extent(size[0], recipe.crop[0], scale)
    width, out_width = _extent(size[1], recipe.crop[1], scale)
    for _ in range(_ATTEMPTS):
        top = draw.randint(0, size[0] - height)
        left = draw.randint(0, size[1] - width)
        region = Region(top, left, height, width, out_height, out_width)
        if mask is None or not needs_mask(recipe, wanted):
            break
        if _is_kept(mask, region, recipe.max_class_share, wanted):
            break
    return region


def resize_region(image: np.ndarray, region: Region) -> Tensor:
    """Cut a region out of an image and resize it, bilinear with antialias.

    Shape:
        image uint8 ``(H, W, 3)``; result uint8 ``(3, out_height, out_width)``.
    """
    rows = slice(region.top, region.top + region.height)
    columns = slice(region.left, region.left + region.width)
    # A copy, because the image may be a read-only map of a file. Channels stay last in
    # memory, for which torch has a vectorised path.
    cut = torch.from_numpy(np.array(image[rows, columns], copy=True))
    planes = cut.permute(2, 0, 1).unsqueeze(0)
    size = (region.out_height, region.out_width)
    if size != (region.height, region.width):
        planes = F.interpolate(planes, size, mode="bilinear", antialias=True)
    return planes[0]


def resize_labels(mask: np.ndarray | None, region: Region) -> Tensor:
    """Cut a region out of a mask and resize it by the nearest pixel.

    Shape:
        mask uint8 ``(H, W)``, or None; result uint8 ``(out_height, out_width)``, 255
        everywhere without a mask.
    """
    if mask is None:
        return torch.full((region.out_height, region.out_width), IGNORE_INDEX, dtype=torch.uint8)
    rows = _nearest(region.top, region.height, region.out_height)
    columns = _nearest(region.left, region.width, region.out_width)
    return torch.from_numpy(mask[rows].take(columns, axis=1))


def _size(sample: Sample) -> tuple[int, int]:
    height, width = sample.image.shape[:2]
    return height, width


def _extent(source: int, crop: int, scale: float) -> tuple[int, int]:
    """Return how many source pixels the crop takes on one axis, and how many they become."""
    scaled = max(1, round(source * scale))
    if scaled <= crop:
        return source, scaled
    return min(source, max(1, round(crop / scale))), crop


def _nearest(start: int, length: int, out: int) -> np.ndarray:
    """Return the source index of each output pixel's centre, in integers and so exactly."""
    return start + (2 * np.arange(out) + 1) * length // (2 * out)


def _is_kept(mask: np.ndarray, region: Region, max_share: float, wanted: int | None) -> bool:
    """Return whether no class fills too much of the crop, and the wanted one enough."""
    # Every fourth pixel is enough to estimate shares.
    rows = slice(region.top, region.top + region.height, 4)
    columns = slice(region.left, region.left + region.width, 4)
    counts = np.bincount(np.ascontiguousarray(mask[rows, columns]).ravel(), minlength=256)
    if wanted is not None and counts[wanted] < _RARE_SHARE * counts.sum():
        return False
    labelled = int(counts[:IGNORE_INDEX].sum())
    share = int(counts[:IGNORE_INDEX].max()) / labelled if labelled else 1.0
    return max_share == 1 or share <= max_share


def _recolor(image: Tensor, recipe: Recipe, draw: random.Random) -> Tensor:
    """Apply colour changes in a drawn order, then blur."""
    changes = [
        (V.adjust_brightness, recipe.brightness, 1.0),
        (V.adjust_contrast, recipe.contrast, 1.0),
        (V.adjust_saturation, recipe.saturation, 1.0),
        (V.adjust_hue, recipe.hue, 0.0),
    ]
    draw.shuffle(changes)
    for change, strength, neutral in changes:
        factor = draw.uniform(neutral - strength, neutral + strength)
        if strength:
            image = change(image, factor)
    blurred, sigma = draw.random() < recipe.blur, draw.uniform(0.15, 1.15)
    return V.gaussian_blur(image, [5, 5], [sigma, sigma]) if blurred else image
