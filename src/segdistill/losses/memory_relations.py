"""Memory relations (CIRKD): match how pixels relate to embeddings of earlier images."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_positive, check_same_maps
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.positions import check_valid, valid_at, valid_labels
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.maths.relations import relation_kl
from segdistill.losses.maths.unit import unit
from segdistill.losses.modules.memory import PixelMemory, RegionMemory
from segdistill.losses.modules.steps import StepCount
from segdistill.types import Batch


@without_autocast
def memory_relations(
    student: Tensor,
    teacher: Tensor,
    contrast: Tensor,
    *,
    temperature: float = 0.1,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the similarities between anchors and contrasts that both networks share.

    With :math:`F` the :math:`A` unit anchors and :math:`V` the unit contrasts, normalised
    here,

    .. math::
        L = \frac{1}{A} \sum_a \mathrm{KL}\big(
            \sigma(F^y V^T / \tau)[a] \,\|\, \sigma(F^x V^T / \tau)[a] \big).

    The full similarity maps are never held in memory; what remains is three products over anchors,
    contrasts and width. Use it when a batch is too small to contain the classes that should be told
    apart. No gradient reaches the teacher or the contrasts. Half precision is compared in float32.
    It is not twice differentiable.

    Args:
        student: anchors of the student, :math:`x`, as a map or as rows.
        teacher: those of the teacher, :math:`y`, of the same shape.
        contrast: embeddings drawn from a memory.
        temperature: :math:`\tau`, unitless.
        valid: True where an anchor counts, False where augmentation padded; None counts every
            anchor. If no anchor is valid, the loss is 0.

    Shape:
        student, teacher ``(N, D, H, W)`` or ``(A, D)``; contrast ``(K, D)``; valid
        ``(N, H, W)`` or ``(A,)``; result ``()``.

    Returns:
        The loss in nats, at least 0 up to rounding.

    Raises:
        ValueError: the anchors differ in shape, ``contrast`` or ``valid`` does not fit them,
            or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic
        Segmentation", CVPR 2022, Eqs. 5 to 8 (printed as KL(student ‖ teacher)).
    """
    if student.ndim == 2 and teacher.ndim == 2:
        # Rows become the map of a single image of width 1.
        student, teacher = (x.mT[None, ..., None] for x in (student, teacher))
        valid = None if valid is None else valid[None, :, None]
    check_same_maps("memory_relations", student=student, teacher=teacher)
    check_directions("memory_relations", student)
    check_valid("memory_relations", valid, student)
    check_positive("memory_relations", temperature=temperature)
    if contrast.ndim != 2 or contrast.shape[1] != student.shape[1] or len(contrast) == 0:
        raise ValueError(
            f"memory_relations: expected contrasts (K, {student.shape[1]}), "
            f"got {tuple(contrast.shape)}; draw them from a memory of this width"
        )

    student, teacher, contrast = full_precision(student, teacher.detach(), contrast.detach())
    student, teacher = (unit(x.flatten(start_dim=2), dim=1) for x in (student, teacher))
    contrast = unit(contrast, dim=1).mT[None]
    counted = torch.ones_like(student[:, 0])
    if valid is not None:
        counted = valid.flatten(start_dim=1).to(student.dtype)
    return relation_kl(
        student,
        teacher,
        contrasts=(contrast, contrast),
        weights=counted / share_of_count(counted.sum()),
        temperature=temperature,
    )


class MemoryRelations(nn.Module):
    """:func:`memory_relations` with a queue of pixels and with a queue of regions.

    Contrasts are drawn before the teacher's embeddings of the batch are pushed, as in the paper;
    the authors' code pushes first. The queues and the step are part of the ``state_dict`` and are
    the same in every process. In evaluation mode nothing is pushed.

    Args:
        classes: number of classes.
        teacher_channels: width of the teacher's embeddings; the student's are projected to it
            beforehand.
        temperature: see :func:`memory_relations`.
        pixel_weight: weight of the part ``pixel``; 0.1 in the paper, 0.01 on Pascal VOC.
        region_weight: weight of the part ``region``.
        pixel_queue: pixels kept per class.
        region_queue: regions kept per class.
        pixels: largest number of pixels pushed per class and image.
        pixel_contrasts: pixels drawn per step, balanced over the classes.
        region_contrasts: regions drawn per step, balanced over the classes.
        seed: seed of the initial queues and of all draws.
    """

    def __init__(
        self,
        classes: int,
        teacher_channels: int,
        temperature: float = 0.1,
        pixel_weight: float = 0.1,
        region_weight: float = 0.1,
        pixel_queue: int = 20000,
        region_queue: int = 2000,
        pixels: int = 16,
        pixel_contrasts: int = 4096,
        region_contrasts: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("MemoryRelations", temperature=temperature)
        self.temperature = temperature
        self.pixel_weight = pixel_weight
        self.region_weight = region_weight
        self.pixel_contrasts = pixel_contrasts
        self.region_contrasts = region_contrasts
        self.pixel = PixelMemory(classes, teacher_channels, pixel_queue, pixels, seed)
        self.region = RegionMemory(classes, teacher_channels, region_queue, seed)
        self.steps = StepCount()

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> dict[str, Tensor]:
        step = self.steps.value
        valid, labels = valid_at(batch, student), valid_labels(batch)
        pixels = self.pixel.draw(self.pixel_contrasts, step=step)
        regions = self.region.draw(self.region_contrasts, step=step)
        parts = {
            name: weight
            * memory_relations(
                student, teacher, contrast, temperature=self.temperature, valid=valid
            )
            for name, weight, contrast in (
                ("pixel", self.pixel_weight, pixels),
                ("region", self.region_weight, regions),
            )
        }
        if self.training:
            self.pixel.enqueue(teacher, labels, step=step)
            self.region.enqueue(teacher, labels)
            self.steps.value += 1
        return parts

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
