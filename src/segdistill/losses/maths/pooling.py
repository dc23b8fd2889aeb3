"""Means over the cells of a map, using only the positions that count."""

from torch import Tensor
from torch.nn import functional as F

from segdistill.losses.maths.positions import leave_out


def mean_pool(maps: Tensor, cell: int, valid: Tensor | None = None) -> Tensor:
    """Return the mean of the valid positions of each cell, 0 for a cell without any.

    Args:
        maps: features.
        cell: side of a cell; those at the border may be smaller.
        valid: True where a position counts, or None if all do.

    Shape:
        maps ``(N, C, H, W)``; valid ``(N, H, W)``; result ``(N, C, ⌈H/cell⌉, ⌈W/cell⌉)``.
    """
    if valid is None:
        return maps if cell == 1 else F.avg_pool2d(maps, cell, ceil_mode=True)
    share = valid[:, None].to(maps.dtype)
    maps = leave_out(maps, valid)
    if cell > 1:
        maps, share = (F.avg_pool2d(x, cell, ceil_mode=True) for x in (maps, share))
    return maps / share.clamp_min(1 / (2 * cell * cell))


def mean_grid(maps: Tensor, size: tuple[int, int], valid: Tensor | None = None) -> Tensor:
    """Return the means of the valid positions in each cell of a grid that covers the map.

    Args:
        maps: features.
        size: rows and columns of the grid.
        valid: True where a position counts, or None if all do.

    Shape:
        maps ``(N, C, H, W)``; valid ``(N, H, W)``; result ``(N, C, *size)``.
    """
    if valid is None:
        return F.adaptive_avg_pool2d(maps, size)
    share = F.adaptive_avg_pool2d(valid[:, None].to(maps.dtype), size)
    pooled = F.adaptive_avg_pool2d(leave_out(maps, valid), size)
    least = 1 / (2 * maps.shape[2] * maps.shape[3])  # less than the weight of one position
    return pooled / share.clamp_min(least)
