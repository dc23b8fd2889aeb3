"""Local similarity (LOCAL): match how similar each pixel is to its eight neighbours."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.positions import check_valid, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.unit import SHORTEST, length
from segdistill.types import Batch

# Half of the 8 neighbours, as (rows down, columns right), so that every pair occurs once.
_OFFSETS = ((0, 1), (1, -1), (1, 0), (1, 1))


@without_autocast
def local_similarity(student: Tensor, teacher: Tensor, *, valid: Tensor | None = None) -> Tensor:
    r"""Compare the cosines between neighbouring positions of two maps, of any two widths.

    With :math:`E_n` the pairs of positions of an image that touch, diagonally as well,

    .. math::
        L = \frac{1}{N} \sum_n \frac{1}{|E_n|} \sum_{(i, j) \in E_n}
            (\cos(x_{ni}, x_{nj}) - \cos(y_{ni}, y_{nj}))^2.

    At the border only real neighbours count; a map of one position has none and gives 0.
    The loss does not change when a position is multiplied by a positive number. No gradient
    reaches the teacher. Half-precision maps are compared in float32.

    Use it as a cheap, short-range form of :func:`pairwise_similarity`. It needs memory for at
    most three maps beyond its inputs. It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same height and width.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. A pair counts if both positions do; an image without any pair is left out of
            the mean.

    Shape:
        student ``(N, C, H, W)``; teacher ``(N, C', H, W)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss, unitless, from 0 to 4.

    Raises:
        ValueError: the maps differ in size or are not ``(N, C, H, W)``, or ``valid`` has
            another size.
        TypeError: ``valid`` is not bool.

    Source:
        Xie et al., "Improving Fast Segmentation With Teacher-student Learning", BMVC 2018,
        arXiv:1810.08476; "LOCAL" in Liu et al., CVPR 2019, Table 2.
    """
    check_maps("local_similarity", student=student, teacher=teacher)
    check_directions("local_similarity", student)
    check_valid("local_similarity", valid, student)
    everywhere = torch.ones_like(student[:, :1], dtype=torch.bool)
    counted = everywhere if valid is None else valid[:, None]
    pairs = count_pairs(counted)
    shares = 1 / pairs.clamp_min(1)[:, None, None, None]
    images = len(student) if valid is None else share_of_count((pairs > 0).sum())

    def difference(student: Tensor, teacher: Tensor, shares: Tensor) -> Tensor:
        lengths_s, lengths_t = (length(x, dim=1).clamp_min(SHORTEST) for x in (student, teacher))
        # Start from a 0 that has a graph, for maps without any neighbours.
        total = student[:0].sum()
        for down, right in _OFFSETS:
            cosine_s = _cosines(student, lengths_s, down, right)
            cosine_t = _cosines(teacher, lengths_t, down, right)
            # A position that does not count is 0 here, and so is its cosine with any other.
            total = total + ((cosine_s - cosine_t).square() * shares).sum()
        return total

    return sum_over_blocks(difference, student, teacher, shares, dim=0, valid=valid) / images


def count_pairs(valid: Tensor) -> Tensor:
    """Return the number of pairs of neighbours in each image that both count, int64 ``(N,)``.

    Args:
        valid: True where a position counts, bool ``(N, 1, H, W)``.
    """
    by_offset = [_both(valid, *offset).sum(dim=(1, 2, 3)) for offset in _OFFSETS]
    return torch.stack(by_offset).sum(dim=0)


class LocalSimilarity(nn.Module):
    """Module form of :func:`local_similarity`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.
    """

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return local_similarity(student, teacher, valid=valid_at(batch, student))


def _cosines(maps: Tensor, lengths: Tensor, down: int, right: int) -> Tensor:
    """Return the cosine between each position and its neighbour at one offset."""
    product = (_shifted(maps, down, right) * _shifted(maps, -down, -right)).sum(1, keepdim=True)
    return product / (_shifted(lengths, down, right) * _shifted(lengths, -down, -right))


def _both(valid: Tensor, down: int, right: int) -> Tensor:
    """Return whether each position and its neighbour at one offset both count."""
    return _shifted(valid, down, right) & _shifted(valid, -down, -right)


def _shifted(maps: Tensor, down: int, right: int) -> Tensor:
    """Return the part of a map that has a neighbour at the offset."""
    height, width = maps.shape[-2:]
    rows = slice(max(-down, 0), height - max(down, 0))
    columns = slice(max(-right, 0), width - max(right, 0))
    return maps[..., rows, columns]
