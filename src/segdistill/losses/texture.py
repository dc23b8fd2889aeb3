"""Texture distillation (SSTKD): fine structure as bands, and its strength as histograms."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_maps, check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_with_slopes
from segdistill.losses.maths.class_cosines import class_cosines
from segdistill.losses.maths.pooling import mean_pool
from segdistill.losses.maths.positions import (
    check_valid,
    count_images,
    leave_out,
    valid_at,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.unit import SHORTEST
from segdistill.types import Batch


@without_autocast
def structural_texture(
    student: Tensor, teacher: Tensor, *, levels: int = 3, valid: Tensor | None = None
) -> Tensor:
    r"""Compare the bands of the Laplacian pyramids of two maps.

    Level :math:`j` of the pyramid is the map of level :math:`j - 1` averaged over 2×2 cells, and
    its band :math:`b_j` is what these means lose of the level above. With :math:`V_{nj}` the valid
    positions of a band's level in an image,

    .. math::
        L = \frac{1}{N} \sum_n \sum_{j=1}^{J} \frac{1}{C |V_{nj}|}
            \sum_{c, p \in V_{nj}} (b_j^x - b_j^y)_{ncp}^2.

    The contourlet transform further splits each band by direction. An orthonormal filter bank
    leaves the squared difference of a band unchanged, so none is computed: the value is that of the
    whole transform.

    No gradient reaches the teacher. Half-precision maps are compared in float32. It needs memory
    for two maps beyond its inputs. It is not twice differentiable.

    Args:
        student: features of the student from an early layer.
        teacher: those of the teacher, of the same shape.
        levels: :math:`J`, number of bands compared; a level with a single position has a band of
            zeros.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. Cells are means of their valid positions; an image without any is left out of
            the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in squared units of the features, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has another
            size, or the levels are below 1.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`Texture`.
    """
    who = "structural_texture"
    check_same_maps(who, student=student, teacher=teacher)
    check_positive(who, levels=levels)
    check_valid(who, valid, student)
    images = count_images(student, valid)
    masks = [torch.ones_like(student[:, :1], dtype=torch.bool) if valid is None else valid[:, None]]
    while len(masks) < levels:
        masks.append(F.max_pool2d(masks[-1].float(), 2, ceil_mode=True) > 0)
    # Positions of each cell, and the share of a band's value in the mean.
    cells = [
        F.avg_pool2d(mask.float(), 2, ceil_mode=True, divisor_override=1).clamp_min(1)
        for mask in masks
    ]
    shares = [
        1 / (mask.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1) * student.shape[1]).double()
        for mask in masks
    ]

    counted = [None if valid is None else mask for mask in masks]

    def difference(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        # Bands are linear: the bands of the difference are the differences of the bands.
        maps, total, slopes = student - teacher, student.new_zeros(()), []
        for mask, share in zip(counted, shares, strict=True):
            above = mean_pool(maps, 2, None if mask is None else mask[:, 0])
            band = leave_out(maps.sub_(_enlarged(above, maps)), mask)
            slopes.append(band * (2 * share).to(band.dtype))
            total += (band * slopes[-1]).sum() / 2
            maps = above
        # A cell's band sums up to 0, so the slope is the band itself, and what the band of the
        # level above passes down through the cell's mean.
        slope = slopes.pop()
        while slopes:
            level = len(slopes) - 1
            below = leave_out(_enlarged(slope / cells[level], slopes[-1]), counted[level])
            slope = slopes.pop().add_(below)
        return total, slope

    return sum_with_slopes(difference, student, teacher, dim=1) / images


@without_autocast
def statistical_texture(
    student: Tensor, teacher: Tensor, *, bins: int = 8, valid: Tensor | None = None
) -> Tensor:
    r"""Compare histograms of each map's similarity to its mean, for maps of any two widths.

    With :math:`s_p = \cos(f_p, \bar f)` over the valid positions :math:`V_n` of an image, levels
    :math:`l_i` at equal steps :math:`\delta` from the least to the largest of them, and
    :math:`h_i = \frac{1}{|V_n|} \sum_p \max(0, 1 - |s_p - l_i| / \delta)`,

    .. math:: L = \frac{1}{N} \sum_n \frac{1}{B} \sum_{i=1}^{B}
        (h_i^x - h_i^y)^2 + (l_i^x - l_i^y)^2.

    It does not change when a position is multiplied by a positive number. No gradient reaches the
    teacher. Half-precision maps are compared in float32. It needs memory for two maps beyond its
    inputs, and with ``valid`` for a copy of both. It is not twice differentiable.

    Args:
        student: features of the student from an early layer.
        teacher: those of the teacher, of the same height and width.
        bins: :math:`B`, number of levels.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, at least 0.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, ``valid`` has another
            size, or there are fewer than 2 bins.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`Texture`.
    """
    who = "statistical_texture"
    check_maps(who, student=student, teacher=teacher)
    check_valid(who, valid, student)
    if bins < 2:
        raise ValueError(f"{who}: expected at least 2 bins, got {bins}")
    images = count_images(student, valid)
    student, teacher = full_precision(student, teacher.detach())
    student, teacher = (leave_out(x, valid).flatten(start_dim=2) for x in (student, teacher))
    if valid is None:
        counted = torch.ones_like(student[:, 0], dtype=torch.bool)
    else:
        counted = valid.flatten(start_dim=1)
    ours, theirs = (_counts(x, counted, bins) for x in (student, teacher))
    differences = [(a - b).square().mean(dim=1).sum() for a, b in zip(ours, theirs, strict=True)]
    return torch.stack(differences).sum() / images


class Texture(nn.Module):
    """:func:`structural_texture` and :func:`statistical_texture` of an early layer.

    The parts are ``structure`` and ``statistics``, each multiplied by its weight. Given a batch, it
    leaves out the positions that augmentation padded.

    It needs memory for about four maps beyond its inputs: each part makes a gradient of its own,
    kept and scaled, since the two are logged apart.

    Args:
        structure_weight: weight of the part ``structure``.
        statistics_weight: weight of the part ``statistics``.
        levels: see :func:`structural_texture`.
        bins: see :func:`statistical_texture`.

    Source:
        Ji et al., "Structural and Statistical Texture Knowledge Distillation for Semantic
        Segmentation", CVPR 2022, arXiv:2305.03944; there is no official code. Weights (0.9 and
        1.15), levels, bins, the pyramid's filter (here means of cells) and the form of the counts
        are recalled from the paper or our own, not checked against it.
    """

    def __init__(
        self,
        structure_weight: float = 0.9,
        statistics_weight: float = 1.15,
        levels: int = 3,
        bins: int = 8,
    ) -> None:
        super().__init__()
        check_positive("Texture", levels=levels)
        if bins < 2:
            raise ValueError(f"Texture: expected at least 2 bins, got {bins}")
        self.structure_weight = structure_weight
        self.statistics_weight = statistics_weight
        self.levels = levels
        self.bins = bins

    def forward(
        self, student: Tensor, teacher: Tensor, batch: Batch | None = None
    ) -> dict[str, Tensor]:
        valid = valid_at(batch, student)
        structure = structural_texture(student, teacher, levels=self.levels, valid=valid)
        statistics = statistical_texture(student, teacher, bins=self.bins, valid=valid)
        return {
            "structure": self.structure_weight * structure,
            "statistics": self.statistics_weight * statistics,
        }

    def extra_repr(self) -> str:
        return f"levels={self.levels}, bins={self.bins}"


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    """Return maps of cells at the size of the level below, where each position has its cell's."""
    enlarged = maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return enlarged[..., : like.shape[2], : like.shape[3]]


def _counts(features: Tensor, counted: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Return counts and levels of the cosines with the mean, ``(N, bins)`` each."""
    weights = counted.to(features.dtype)
    number = weights.sum(dim=1, keepdim=True).clamp_min(1)
    # All positions that count are one class.
    cosines = class_cosines(features, weights[:, None], counted.long() - 1)
    high = torch.finfo(cosines.dtype).max
    some = counted.any(dim=1, keepdim=True)
    least = torch.where(some, cosines.masked_fill(~counted, high).amin(dim=1, keepdim=True), 0.0)
    most = torch.where(some, cosines.masked_fill(~counted, -high).amax(dim=1, keepdim=True), 0.0)
    steps = torch.linspace(0, 1, bins, device=features.device, dtype=features.dtype)
    levels = least + (most - least) * steps
    width = ((most - least) / (bins - 1)).clamp_min(SHORTEST)
    nearness = (1 - (cosines[:, None] - levels[..., None]).abs() / width[..., None]).clamp_min(0)
    counts = (nearness * weights[:, None]).sum(dim=2) / number
    return counts, levels
