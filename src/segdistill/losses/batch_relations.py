"""Mini-batch relations (CIRKD): match how pixels of one image relate to those of all others."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_maps, check_positive
from segdistill.losses.maths.gather import gather_images, processes
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.relations import relation_kl
from segdistill.losses.maths.unit import unit
from segdistill.types import Batch


@without_autocast
def batch_relations(
    student: Tensor, teacher: Tensor, *, temperature: float = 0.1, valid: Tensor | None = None
) -> Tensor:
    r"""Compare the similarities between pixels across all images of the batch.

    With :math:`F_i` the :math:`A_i` unit embeddings of image :math:`i` and
    :math:`S_{ij} = F_i F_j^T`,

    .. math::
        L = \frac{1}{B^2} \sum_{i, j} \frac{1}{A_i} \sum_a \mathrm{KL}\big(
            \sigma(S^y_{ij}[a] / \tau) \,\|\, \sigma(S^x_{ij}[a] / \tau) \big).

    :math:`B` counts the images of all processes: each process compares its own images with those of
    all, and the mean over processes gives the equation. The widths of the two maps may differ. It
    does not change when an embedding is multiplied by a positive number. No gradient reaches the
    teacher. Half-precision maps are compared in float32. It is not twice differentiable.

    The full similarity maps are never held in memory, but their arithmetic is still done: eight
    operations per pair of pixels and channel. :math:`S_{ji} = S_{ij}^T` would save a quarter of
    them, at the price of a second pass over the scores for the column sums. Use it on maps of
    stride 8 or more and on embeddings, not logits.

    Args:
        student: embeddings of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same height and width.
        temperature: :math:`\tau`, unitless.
        valid: True where a position counts, both as an anchor and as a contrast; False where
            augmentation padded; None counts every position. An image without any is left out of the
            mean.

    Shape:
        student ``(N, D, H, W)``; teacher ``(N, D', H, W)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss in nats, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in size or are not ``(N, D, H, W)``, ``valid`` has another
            size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic
        Segmentation", CVPR 2022, Eqs. 3 and 4 (printed as KL(student ‖ teacher)); temperature
        0.1, weight 1. In the authors' winycg/CIRKD the gathering across processes is
        commented out, so that :math:`B` is the batch of one GPU.
    """
    check_maps("batch_relations", student=student, teacher=teacher)
    check_directions("batch_relations", student)
    check_positive("batch_relations", temperature=temperature)
    check_valid("batch_relations", valid, student)

    images = count_images(student, valid)
    student, teacher = full_precision(student, teacher.detach())
    student = unit(student.flatten(start_dim=2), dim=1)
    teacher = unit(teacher.flatten(start_dim=2), dim=1)
    gathered = None
    if processes()[1] > 1:
        gathered = (gather_images(student), gather_images(teacher))
    weights = torch.ones_like(student[:, 0])
    counted = None
    if valid is not None:
        valid = valid.flatten(start_dim=1)
        weights, counted = valid.to(student.dtype), gather_images(valid)
    anchors = weights.sum(dim=1, keepdim=True).clamp_min(1)
    return relation_kl(
        student,
        teacher,
        contrasts=gathered,
        weights=weights / (anchors * images),
        temperature=temperature,
        counted=counted,
    )


class BatchRelations(nn.Module):
    """Module form of :func:`batch_relations`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        temperature: see :func:`batch_relations`.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive("BatchRelations", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        valid = valid_at(batch, student)
        return batch_relations(student, teacher, temperature=self.temperature, valid=valid)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
