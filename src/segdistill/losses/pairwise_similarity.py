"""Pair-wise distillation (SKD): match how similar every two positions of an image are."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_directions, check_maps
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.gram import compare_cosines, squared_differences
from segdistill.losses.maths.positions import check_valid, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.types import Batch


@without_autocast
def pairwise_similarity(
    student: Tensor,
    teacher: Tensor,
    *,
    pool: int | tuple[int, int] = 1,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the cosines between all positions of two maps, of any two widths.

    With :math:`M` positions in an image (cells if the map is pooled),

    .. math::
        L = \frac{1}{N} \sum_n \frac{1}{M^2} \sum_{i, j}
            (\cos(x_{ni}, x_{nj}) - \cos(y_{ni}, y_{nj}))^2.

    The M×M map is not built if it is larger than C×C: for unit columns U and V,
    :math:`\sum_{ij} (u_i \cdot u_j - v_i \cdot v_j)^2 = \|U U^T\|^2 + \|V V^T\|^2 - 2 \|U V^T\|^2`.
    What remains is five products of C×C×M per image, two of which are only half computed. It needs
    memory for less than three maps beyond its inputs.

    Use it to teach the layout of a scene rather than its features; Niemann et al. 2023
    find no gain from it over a tuned :func:`pixelwise_kl`.

    The loss does not change when a position is multiplied by a positive number. No gradient
    reaches the teacher. Half-precision maps are compared in float32. It is not twice
    differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same height and width.
        pool: kernel and stride of a max pooling beforehand, as (height, width) or one number for
            both; 1 compares every position, and half the map's size gives the authors' 2×2 cells
            (3×3 if the size is odd).
        valid: True where a position counts, False where augmentation padded; a pooled cell
            counts its valid positions. An image without any is left out of the mean.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss, unitless, from 0 (up to rounding, 1e-7 to either side) to 4.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, ``valid`` has another
            size, or the pool is below 1.
        TypeError: ``valid`` is not bool.

    Source:
        Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, Eq. 2;
        weight 10. The authors' irfanICMLL/structure_knowledge_distillation pools with a kernel of
        half the map and treats the norms as constants in the gradient; CIRKD's copy pools 2×2.
    """
    check_maps("pairwise_similarity", student=student, teacher=teacher)
    check_directions("pairwise_similarity", student)
    check_valid("pairwise_similarity", valid, student)
    kernel = _kernel("pairwise_similarity", pool)

    student, teacher = full_precision(student, teacher.detach())
    if kernel != (1, 1):
        student, teacher = (_max_pool(x, kernel, valid) for x in (student, teacher))
        if valid is not None:
            valid = _max_pool(valid[:, None].to(student.dtype), kernel, None)[:, 0] > 0
    if valid is None:
        weights = student.new_ones(student.shape[0], student[0, 0].numel())
    else:
        weights = valid.flatten(start_dim=1).to(student.dtype)
    counts = weights.sum(dim=1)
    images = share_of_count((counts > 0).sum())
    shares = 1 / (counts.clamp_min(1).square() * images)
    maps = (student.flatten(start_dim=2), teacher.flatten(start_dim=2))
    return compare_cosines(squared_differences, *maps, weights=weights, shares=shares)


class PairwiseSimilarity(nn.Module):
    """Module form of :func:`pairwise_similarity`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        pool: see :func:`pairwise_similarity`.
    """

    def __init__(self, pool: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.pool = _kernel("PairwiseSimilarity", pool)

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        valid = valid_at(batch, student)
        return pairwise_similarity(student, teacher, pool=self.pool, valid=valid)

    def extra_repr(self) -> str:
        return f"pool={self.pool}"


def _kernel(caller: str, pool: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (pool, pool) if isinstance(pool, int) else pool
    if min(height, width) < 1:
        raise ValueError(f"{caller}: expected a pool of at least 1, got {pool}")
    return height, width


def _max_pool(maps: Tensor, kernel: tuple[int, int], valid: Tensor | None) -> Tensor:
    """Return the maximum of the valid positions of each cell, 0 for a cell without any."""
    if valid is not None:
        maps = maps.masked_fill(~valid[:, None], -torch.inf)
    pooled = F.max_pool2d(maps, kernel, stride=kernel, ceil_mode=True)
    return pooled if valid is None else pooled.masked_fill(pooled == -torch.inf, 0.0)
