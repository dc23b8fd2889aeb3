"""Channel relations (CIRKDv2): match how channels relate to those of all images of the batch."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_positive, check_same_maps
from segdistill.losses.maths.gather import gather_images, processes
from segdistill.losses.maths.pooling import mean_pool
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.relations import relation_kl
from segdistill.losses.maths.unit import unit
from segdistill.types import Batch


@without_autocast
def channel_relations(
    student: Tensor,
    teacher: Tensor,
    *,
    pool: int = 4,
    temperature: float = 0.1,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the similarities between the channels of all images of the batch.

    With :math:`F_i` the :math:`C` channels of image :math:`i`, mean-pooled and each divided by its
    norm over the cells, and :math:`S_{ij} = F_i F_j^T`,

    .. math::
        L = \frac{1}{B^2} \sum_{i, j} \frac{1}{C} \sum_c \mathrm{KL}\big(
            \sigma(S^y_{ij}[c] / \tau) \,\|\, \sigma(S^x_{ij}[c] / \tau) \big).

    :math:`B` counts the images of all processes: each process compares its own images with those of
    all, and the mean over processes gives the equation. It does not change when a channel is
    multiplied by a positive number. No gradient reaches the teacher. Half-precision maps are
    compared in float32. The full similarity maps are never held in memory, and apart from one
    gradient of the map, everything has the pooled size. It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        pool: side of the cells whose means are compared; 1 compares every position.
        temperature: :math:`\tau`, unitless.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has another
            size, the pool is below 1, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        CIRKDv2 in winycg/CIRKD (README of August 2025, no licence): pool 4, temperature 0.1, weight
        1, student projected by two 1×1 convolutions. There :math:`B` is the batch of one GPU, which
        in its scripts is a single image. It is used together with a squared difference of the
        channels, with weight 100 on a mean that is taken over cells as well:
        :func:`channel_angular` with weight 100 divided by the number of cells does the same.
    """
    who = "channel_relations"
    check_same_maps(who, student=student, teacher=teacher)
    check_directions(who, student)
    check_positive(who, temperature=temperature, pool=pool)
    check_valid(who, valid, student)
    images = count_images(student, valid)
    student, teacher = full_precision(student, teacher.detach())
    student, teacher = (_channels(x, pool, valid) for x in (student, teacher))
    gathered = None
    if processes()[1] > 1:
        gathered = (gather_images(student), gather_images(teacher))
    weights = student.new_ones(len(student), student.shape[2])
    counted = None
    if valid is not None:
        some = valid.flatten(start_dim=1).any(dim=1, keepdim=True).expand_as(weights)
        weights, counted = some.to(student.dtype), gather_images(some.contiguous())
    return relation_kl(
        student,
        teacher,
        contrasts=gathered,
        weights=weights / (student.shape[2] * images),
        temperature=temperature,
        counted=counted,
    )


class ChannelRelations(nn.Module):
    """Module form of :func:`channel_relations`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        pool: see :func:`channel_relations`.
        temperature: see :func:`channel_relations`.
    """

    def __init__(self, pool: int = 4, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive("ChannelRelations", pool=pool, temperature=temperature)
        self.pool = pool
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        return channel_relations(
            student,
            teacher,
            pool=self.pool,
            temperature=self.temperature,
            valid=valid_at(batch, student),
        )

    def extra_repr(self) -> str:
        return f"pool={self.pool}, temperature={self.temperature}"


def _channels(maps: Tensor, pool: int, valid: Tensor | None) -> Tensor:
    """Return unit channels as columns, ``(N, cells, C)``."""
    pooled = mean_pool(maps, pool, valid)
    if pooled.requires_grad:
        # Its gradient comes back transposed, in which form pooling would copy the whole map.
        pooled.register_hook(torch.Tensor.contiguous)  # type: ignore[no-untyped-call]
    return unit(pooled.flatten(start_dim=2), dim=2).mT.contiguous()
