"""Pixel embeddings: choosing pixels, and measuring how well their classes separate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.seeding import torch_generator


def sample_pixels(
    labels: Sequence[Tensor], *, classes: int, per_class: int, seed: int = 0
) -> Tensor:
    """Draw the same number of labelled pixels of every class, over all images.

    If a class has fewer pixels, all are used. The choice depends only on the seed, the class and
    its pixels, so that networks are compared on the same pixels.

    Args:
        labels: masks of the images, at the size of the feature maps; a value that is not a
            class, such as 255, is never drawn.
        classes: number of classes :math:`K`.
        per_class: maximum number of pixels per class.
        seed: seed of the choice.

    Shape:
        each mask ``(h, w)``, sizes may differ; result ``(M, 4)`` int64: image, row, column
        and class, sorted by class, image, row and column.

    Raises:
        ValueError: a mask is not ``(h, w)``, there are no labelled pixels, or a number is
            below 1.

    Source:
        Class-balanced as in Yang et al., "Cross-Image Relational Knowledge Distillation", CVPR
        2022, Sec. 3.3; the number of pixels in their Fig. 5 is not stated.
    """
    if classes < 1 or per_class < 1:
        raise ValueError(
            f"sample_pixels: expected classes and per_class >= 1, got {classes} and {per_class}"
        )
    for mask in labels:
        if mask.ndim != 2:
            raise ValueError(f"sample_pixels: expected masks (h, w), got {tuple(mask.shape)}")
    drawn = []
    for label in range(classes):
        by_image = [
            F.pad((mask == label).nonzero(), (1, 0), value=image)
            for image, mask in enumerate(labels)
        ]
        if not any(map(len, by_image)):
            continue
        pixels = torch.cat(by_image)
        order = torch.randperm(len(pixels), generator=torch_generator(seed, "embedding", label))
        chosen = pixels[order[:per_class].sort().values]
        drawn.append(F.pad(chosen, (0, 1), value=label))
    if not drawn:
        raise ValueError(
            "sample_pixels: expected at least one labelled pixel, got none; check the masks"
        )
    return torch.cat(drawn)


def neighbour_agreement(embeddings: Tensor, labels: Tensor, *, neighbours: int = 10) -> float:
    r"""Return how often the nearest neighbours of a pixel belong to its class.

    .. math:: \frac{1}{M k} \sum_i \sum_{j \in N_k(i)} [c_i = c_j],

    with :math:`N_k(i)` the :math:`k` other pixels of largest cosine. A t-SNE plot may show
    clusters that do not exist; this number is computed in the original space.

    Args:
        embeddings: one per pixel.
        labels: the pixels' classes.
        neighbours: :math:`k`.

    Shape:
        embeddings ``(M, D)``; labels ``(M,)``.

    Returns:
        A share from 0 to 1.

    Raises:
        ValueError: the lengths differ, or there are not more pixels than neighbours.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            "neighbour_agreement: expected embeddings (M, D) and labels (M,), got "
            f"{tuple(embeddings.shape)} and {tuple(labels.shape)}"
        )
    if not 1 <= neighbours < len(embeddings):
        raise ValueError(
            f"neighbour_agreement: expected more than {neighbours} pixels, got "
            f"{len(embeddings)}; draw more, or ask for fewer neighbours"
        )
    unit = F.normalize(embeddings.float(), dim=1)
    cosines = (unit @ unit.mT).fill_diagonal_(-2)
    nearest = cosines.topk(neighbours, dim=1).indices
    return float((labels[nearest] == labels[:, None]).double().mean())
