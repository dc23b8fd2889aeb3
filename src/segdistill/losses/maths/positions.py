"""Which positions of a map count: labels and validity, resized to the map's size.

The rule throughout: a position that augmentation padded does not count in any loss. It is left out
of every sum, norm, softmax, mean and pair, and of the number that a sum is divided by.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.losses.maths.gather import share_of_count
from segdistill.types import IGNORE_INDEX, Batch


def resize_labels(labels: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return labels at a map's size, each position with the nearest label, never a blend.

    Args:
        labels: int64 class ids.
        size: height and width of the map.

    Shape:
        labels ``(N, H', W')``; result ``(N, H, W)``.

    Returns:
        The labels, int64.
    """
    if labels.shape[-2:] == size:
        return labels
    # float32 holds every label exactly; interpolate does not take int64.
    resized = F.interpolate(labels[:, None].to(torch.float32), size=size, mode="nearest")
    return resized[:, 0].to(labels.dtype)


def resize_valid(valid: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return validity at a map's size, by the same nearest-neighbour rule as :func:`resize_labels`.

    Args:
        valid: bool, False where augmentation padded.
        size: height and width of the map.

    Shape:
        valid ``(N, H', W')``; result ``(N, H, W)``.

    Returns:
        The validity, bool.
    """
    if valid.shape[-2:] == size:
        return valid
    resized = F.interpolate(valid[:, None].to(torch.uint8), size=size, mode="nearest")
    return resized[:, 0].to(torch.bool)


def valid_at(batch: Batch | None, maps: Tensor) -> Tensor | None:
    """Return which positions of a map are not padding, or None (all count) without a batch.

    Shape:
        maps ``(N, C, H, W)``; result ``(N, H, W)``.
    """
    return None if batch is None else resize_valid(batch.valid, maps.shape[-2:])


def valid_labels(batch: Batch) -> Tensor:
    """Return the labels of a batch, with no class where augmentation padded."""
    return batch.labels.masked_fill(~batch.valid, IGNORE_INDEX)


def leave_out(maps: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return maps that are 0, and get no gradient, at positions that do not count.

    Shape:
        maps ``(N, C, H, W)``; valid ``(N, H, W)`` or ``(N, 1, H, W)``; result as maps.
    """
    if valid is None:
        return maps
    return maps.masked_fill(~(valid if valid.ndim == 4 else valid[:, None]), 0.0)


def count_positions(maps: Tensor, valid: Tensor | None) -> Tensor | int:
    """Return what to divide a sum over positions by to get a mean; see :func:`share_of_count`."""
    return maps[:, 0].numel() if valid is None else share_of_count(valid.sum())


def count_images(maps: Tensor, valid: Tensor | None) -> Tensor | int:
    """Return what to divide a sum over images by; an image that is all padding does not count."""
    if valid is None:
        return len(maps)
    return share_of_count(valid.flatten(start_dim=1).any(dim=1).sum())


def check_valid(caller: str, valid: Tensor | None, maps: Tensor) -> None:
    """Refuse a ``valid`` that is not bool ``(N, H, W)`` at the size of the maps.

    Raises:
        TypeError: it is not bool.
        ValueError: it has another shape.
    """
    if valid is None:
        return
    if valid.dtype != torch.bool:
        raise TypeError(
            f"{caller}: expected valid of dtype torch.bool, got {valid.dtype}; "
            "pass a mask that is True where a position counts"
        )
    expected = (maps.shape[0], *maps.shape[2:])
    if valid.shape != expected:
        raise ValueError(
            f"{caller}: expected valid of shape {expected}, got {tuple(valid.shape)}; "
            "resize it first, with segdistill.losses.resize_valid(valid, map.shape[2:])"
        )


def check_labels(
    caller: str, labels: Tensor, maps: Tensor, *, classes: int, ignore_index: int
) -> None:
    """Refuse labels that are not int64 ``(N, H', W')``, or a label that is not a class.

    On an accelerator a wrong label value triggers a device-side assertion instead, since checking
    the values here would wait for the device.

    Raises:
        TypeError: the labels are not int64.
        ValueError: the number of images differs, or a value is neither a class nor
            ``ignore_index``.
    """
    if labels.dtype != torch.int64:
        raise TypeError(
            f"{caller}: expected labels of dtype torch.int64, got {labels.dtype}; "
            "convert them with .long()"
        )
    if labels.ndim != 3 or labels.shape[0] != maps.shape[0] or labels.numel() == 0:
        raise ValueError(
            f"{caller}: expected labels ({maps.shape[0]}, H, W), got {tuple(labels.shape)}; "
            "pass one label map per image"
        )
    unknown = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if unknown.device.type != "cpu":
        torch._assert_async(~unknown.any(), f"{caller}: a label is no class")
    elif unknown.any():
        raise ValueError(
            f"{caller}: expected labels below {classes} or {ignore_index}, "
            f"got {sorted(set(labels[unknown].tolist()))}; "
            f"map what is no class to {ignore_index}"
        )
