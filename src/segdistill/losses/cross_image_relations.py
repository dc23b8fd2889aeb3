"""All of CIRKD: relations of one set of embeddings to the batch and to two memories."""

from torch import Tensor, nn

from segdistill.checks import check_positive
from segdistill.losses.batch_relations import batch_relations
from segdistill.losses.maths.positions import valid_at
from segdistill.losses.memory_relations import MemoryRelations
from segdistill.types import Batch


class CrossImageRelations(nn.Module):
    """:func:`batch_relations` and :class:`MemoryRelations` behind one projection head.

    The parts are ``batch``, ``pixel`` and ``region``, each multiplied by its weight; the paper adds
    :func:`pixelwise_kl` on the logits with weight 1.

    Args:
        classes: number of classes.
        teacher_channels: width of the teacher's embeddings; the student's are projected to it
            beforehand.
        temperature: temperature of all three parts.
        batch_weight: weight of the part ``batch``.
        pixel_weight: weight of the part ``pixel``; 0.1 in the paper, 0.01 on Pascal VOC.
        region_weight: weight of the part ``region``.
        pixel_queue: see :class:`MemoryRelations`.
        region_queue: see :class:`MemoryRelations`.
        pixels: see :class:`MemoryRelations`.
        pixel_contrasts: see :class:`MemoryRelations`.
        region_contrasts: see :class:`MemoryRelations`.
        seed: see :class:`MemoryRelations`.

    Source:
        Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic
        Segmentation", CVPR 2022, Eq. 9 and Alg. 1.
    """

    def __init__(
        self,
        classes: int,
        teacher_channels: int,
        temperature: float = 0.1,
        batch_weight: float = 1.0,
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
        check_positive("CrossImageRelations", temperature=temperature)
        self.temperature = temperature
        self.batch_weight = batch_weight
        self.memory = MemoryRelations(
            classes,
            teacher_channels,
            temperature=temperature,
            pixel_weight=pixel_weight,
            region_weight=region_weight,
            pixel_queue=pixel_queue,
            region_queue=region_queue,
            pixels=pixels,
            pixel_contrasts=pixel_contrasts,
            region_contrasts=region_contrasts,
            seed=seed,
        )

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> dict[str, Tensor]:
        valid = valid_at(batch, student)
        within = batch_relations(student, teacher, temperature=self.temperature, valid=valid)
        return {"batch": self.batch_weight * within, **self.memory(student, teacher, batch)}

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, batch_weight={self.batch_weight}"
