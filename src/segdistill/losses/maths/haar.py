"""The orthonormal Haar wavelet transform of maps, one level at a time."""

import torch
from torch import Tensor
from torch.nn import functional as F


def haar(maps: Tensor) -> tuple[Tensor, Tensor]:
    r"""Split maps into a low band of half the size and three high bands.

    With :math:`a, b` above :math:`c, d` the values of a 2×2 cell, the low band is :math:`(a + b + c
    + d) / 2` and the high ones are :math:`(a + b - c - d) / 2`, :math:`(a - b + c - d) / 2` and
    :math:`(a - b - c + d) / 2`. Odd sizes are extended by zeros.

    Shape:
        maps ``(N, C, H, W)``; low ``(N, C, ⌈H/2⌉, ⌈W/2⌉)``; high ``(N, C, 3, ⌈H/2⌉, ⌈W/2⌉)``.
    """
    maps = F.pad(maps, (0, maps.shape[3] % 2, 0, maps.shape[2] % 2))
    above, below = maps[:, :, 0::2], maps[:, :, 1::2]
    total, change = (above + below) / 2, (above - below) / 2
    (a, b), (c, d) = ((x[..., 0::2], x[..., 1::2]) for x in (total, change))
    return a + b, torch.stack((c + d, a - b, c - d), dim=2)


def inverse_haar(low: Tensor, high: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the maps that :func:`haar` split, cut to their height and width.

    Shape:
        low ``(N, C, h, w)``; high ``(N, C, 3, h, w)``; result ``(N, C, *size)``.
    """
    rows, columns, diagonal = high.unbind(dim=2)
    above = (low + rows + columns + diagonal, low + rows - columns - diagonal)
    below = (low - rows + columns - diagonal, low - rows - columns + diagonal)
    lines = [torch.stack(pair, dim=-1).flatten(start_dim=-2) for pair in (above, below)]
    maps = torch.stack(lines, dim=-2).flatten(start_dim=-3, end_dim=-2) / 2
    return maps[..., : size[0], : size[1]]
