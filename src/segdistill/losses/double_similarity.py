"""Double similarity (DSD): how attention changes between layers and how similar classes are."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdistill.checks import check_maps, check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.pooling import mean_pool
from segdistill.losses.maths.positions import (
    check_valid,
    count_images,
    leave_out,
    resize_valid,
    valid_at,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.unit import unit
from segdistill.losses.modules.projector import resize_like
from segdistill.types import Batch
from segdistill.upsampling import at_least, snap_excluded

Pair = tuple[Tensor, Tensor]
"""The student's and the teacher's map of one layer."""


@without_autocast
def pixel_similarity(
    layers: Sequence[Pair], *, every_pair: bool = False, valid: Tensor | None = None
) -> Tensor:
    r"""Compare how the attention of each network changes from layer to layer.

    With :math:`Q_m = \mathrm{unit}(\frac{1}{C} \sum_c f_{mc}^2)` over the positions of layer
    :math:`m`, resized to the last layer's size, and
    :math:`R_{mn} = \mathrm{unit}(Q_n - Q_m)` for the pairs :math:`m < n` of adjacent layers,

    .. math:: L = \frac{1}{N |M|} \sum_{n} \sum_{(i, j) \in M} \|R^x_{ij} - R^y_{ij}\|_2^2.

    Widths may differ. No gradient reaches the teacher. Half-precision maps are compared in
    float32. It needs memory for two maps beyond its inputs, for one layer at a time.

    Args:
        layers: maps of the student and of the teacher, from the first layer to the last.
        every_pair: compare every pair of layers, not only adjacent ones.
        valid: True where a position of the last layer's map counts, False where augmentation
            padded; None counts every position. An image without any is left out of the mean.

    Shape:
        each pair ``(N, C, h, w)`` and ``(N, C', h, w)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, from 0 to 4.

    Raises:
        ValueError: there are fewer than two layers, the maps of one differ in size or are not
            ``(N, C, H, W)``, or ``valid`` has another size.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`DoubleSimilarity`.
    """
    who = "pixel_similarity"
    if len(layers) < 2:
        raise ValueError(f"{who}: expected at least 2 layers, got {len(layers)}; name more taps")
    for student, teacher in layers:
        check_maps(who, student=student, teacher=teacher)
    last = layers[-1][0]
    check_valid(who, valid, last)
    ours = [_attention(student, last, valid) for student, _ in layers]
    theirs = [_attention(teacher.detach(), last, valid) for _, teacher in layers]
    count = len(layers)
    pairs = [(i, j) for j in range(count) for i in range(j) if every_pair or j == i + 1]
    total = ours[0].new_zeros(())
    for i, j in pairs:
        residuals = [unit(q[j] - q[i], dim=1) for q in (ours, theirs)]
        total = total + (residuals[0] - residuals[1]).square().sum()
    return total / (len(pairs) * count_images(last, valid))


@without_autocast
def category_similarity(
    student: Tensor, teacher: Tensor, *, temperature: float = 1.0, valid: Tensor | None = None
) -> Tensor:
    r"""Compare how similar the probability maps of every two classes are.

    With :math:`q_k` the probabilities :math:`\sigma(z / T)` of class :math:`k` over the valid
    positions of an image, divided by their norm,

    .. math::
        L = \frac{1}{N K^2} \sum_n \sum_{k, l}
            (q^x_{nk} \cdot q^x_{nl} - q^y_{nk} \cdot q^y_{nl})^2.

    It is 0 for equal maps. No gradient reaches the teacher. Half-precision maps are compared in
    float32. It works on one image at a time and needs memory for the gradient and about four maps
    of one image. It is not twice differentiable.

    Args:
        student: logits of the student.
        teacher: logits of the teacher, of the same shape.
        temperature: :math:`T`, unitless.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student, teacher ``(N, K, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss, unitless, from 0 to 1.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``, ``valid`` has another
            size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`DoubleSimilarity`.
    """
    _check("category_similarity", student, teacher, temperature, valid)
    mask = () if valid is None else (valid[:, None],)

    def difference(student: Tensor, teacher: Tensor, *mask: Tensor) -> Tensor:
        ours, theirs = (
            unit(leave_out((x / temperature).softmax(dim=1), *mask).flatten(start_dim=2), dim=2)
            for x in (student, teacher)
        )
        return (ours @ ours.mT - theirs @ theirs.mT).square().sum()

    total = sum_over_blocks(difference, student, teacher, *mask, dim=0)
    return total / (count_images(student, valid) * student.shape[1] ** 2)


@without_autocast
def spatial_category_similarity(
    student: Tensor,
    teacher: Tensor,
    *,
    pool: int = 2,
    temperature: float = 4.0,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare classes by their distributions over positions, as winycg/CIRKD does.

    With :math:`\phi_k` the softmax of class :math:`k` over the mean-pooled positions of an image,

    .. math::
        L = \frac{1}{N K^2} \sum_n \sum_{k, l}
            (\phi^x_{nk} \cdot \phi^x_{nl} - \phi^y_{nk} \cdot \phi^y_{nl})^2.

    The products are of distributions, not of unit vectors. Args, errors and memory are those of
    :func:`category_similarity`; ``pool`` is the side of the cells.
    """
    who = "spatial_category_similarity"
    _check(who, student, teacher, temperature, valid)
    check_positive(who, pool=pool)
    if valid is None:
        valid = torch.ones_like(student[:, 0], dtype=torch.bool)

    def difference(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
        cells = mean_pool(valid[:, None].to(student.dtype), pool) > 0

        def distribution(maps: Tensor) -> Tensor:
            scores = snap_excluded(mean_pool(at_least(maps), pool, valid)) / temperature
            scores = scores.masked_fill(~cells, torch.finfo(scores.dtype).min)
            shares = scores.flatten(start_dim=2).softmax(dim=2)
            return leave_out(shares.reshape(len(shares), -1, *cells.shape[2:]), cells).flatten(
                start_dim=2
            )

        ours, theirs = distribution(student), distribution(teacher)
        return (ours @ ours.mT - theirs @ theirs.mT).square().sum()

    total = sum_over_blocks(difference, student, teacher, valid, dim=0)
    some = share_of_count(valid.flatten(start_dim=1).any(dim=1).sum())
    return total / (some * student.shape[1] ** 2)


class DoubleSimilarity(nn.Module):
    """:func:`category_similarity` of logits and :func:`pixel_similarity` of further layers.

    The parts are ``pixel`` and ``category``, each multiplied by its weight. The layers are the maps
    of ``beside``. Given a batch, it leaves out the positions that augmentation padded.

    It needs memory for about eight maps of logits beyond its inputs, a few for each part, which is
    little compared with the features of any network.

    Args:
        pixel_weight: weight of the part ``pixel``.
        category_weight: weight of the part ``category``.
        temperature: temperature of the part ``category``.
        every_pair: see :func:`pixel_similarity`.
        spatial: use :func:`spatial_category_similarity` for the part ``category``.

    Source:
        Feng et al., "Double Similarity Distillation for Semantic Image Segmentation", IEEE TIP
        2021, arXiv:2107.08591, as described in others' notes on it: adjacent layers, a softmax over
        classes, unit class maps; its weights were not available. winycg/CIRKD compares every pair
        of layers with weight 1000 on a mean over positions and :func:`spatial_category_similarity`
        with weight 10: ``every_pair`` and ``spatial``.
    """

    def __init__(
        self,
        pixel_weight: float = 1.0,
        category_weight: float = 1.0,
        temperature: float = 1.0,
        every_pair: bool = False,
        spatial: bool = False,
    ) -> None:
        super().__init__()
        check_positive("DoubleSimilarity", temperature=temperature)
        self.pixel_weight = pixel_weight
        self.category_weight = category_weight
        self.temperature = temperature
        self.every_pair = every_pair
        self.spatial = spatial

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        batch: Batch | None = None,
        *,
        beside: Sequence[Pair],
    ) -> dict[str, Tensor]:
        compare = spatial_category_similarity if self.spatial else category_similarity
        category = compare(
            student, teacher, temperature=self.temperature, valid=valid_at(batch, student)
        )
        valid = valid_at(batch, beside[-1][0]) if beside else None
        pixel = pixel_similarity(beside, every_pair=self.every_pair, valid=valid)
        return {
            "pixel": self.pixel_weight * pixel,
            "category": self.category_weight * category,
        }

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, every_pair={self.every_pair}"


def _check(
    who: str, student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None
) -> None:
    check_same_maps(who, student=student, teacher=teacher)
    check_positive(who, temperature=temperature)
    check_valid(who, valid, student)


def _attention(maps: Tensor, last: Tensor, valid: Tensor | None) -> Tensor:
    """Return the unit attention of one network's layer, ``(N, P)`` at the last layer's size."""
    (maps,) = full_precision(maps)
    own = None if valid is None else resize_valid(valid, maps.shape[2:])
    attention = leave_out(maps, own).square().mean(dim=1, keepdim=True)
    resized = leave_out(resize_like(attention, last), valid)
    return unit(resized.flatten(start_dim=1), dim=1)
