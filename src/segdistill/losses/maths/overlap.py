"""How much soft masks of one image overlap."""

from torch import Tensor


def dice_overlap(masks: Tensor) -> Tensor:
    r"""Return the mean Dice overlap :math:`2 m \cdot m' / (m \cdot m + m' \cdot m')` of two masks.

    The mean is over images and pairs of different masks; it is 0 for a single mask.

    Args:
        masks: values from 0 to 1.

    Shape:
        masks ``(N, M, H, W)``; result ``()``.
    """
    flat = masks.flatten(start_dim=2)
    overlap = flat @ flat.mT
    squares = overlap.diagonal(dim1=1, dim2=2)
    dice = 2 * overlap / (squares[:, :, None] + squares[:, None] + 1e-12)
    others = dice.sum(dim=(1, 2)) - dice.diagonal(dim1=1, dim2=2).sum(dim=1)
    return others.mean() / max(masks.shape[1] * (masks.shape[1] - 1), 1)
