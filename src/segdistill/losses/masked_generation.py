"""Masked generation (MGD): generate the teacher's map from a masked student's map."""

from torch import Tensor, nn

from segdistill.checks import check_maps
from segdistill.losses.feature_mse import feature_mse
from segdistill.losses.maths.gather import draw_uniform
from segdistill.losses.maths.part import ends_step
from segdistill.losses.maths.positions import leave_out, valid_at
from segdistill.losses.modules.projector import Projector, check_widths
from segdistill.losses.modules.steps import StepCount
from segdistill.types import Batch


class MaskedGeneration(nn.Module):
    r"""Drop positions of the student's map and generate the teacher's map from the rest.

    With A a 1×1 convolution if the widths differ, M a mask that drops each position of
    each image with probability :math:`\lambda`, and G a 3×3 convolution, a ReLU and a 3×3
    convolution, and V the valid positions of all images,

    .. math:: L = \frac{1}{C |V|} \sum_{c, p \in V} (G(M \odot A(x)) - y)_{cp}^2.

    Given a batch, padded positions are treated like those outside the map: the convolutions see
    zeros there.

    A and G are trained with the student but are not part of it. The mask depends only on the seed,
    the step and the image's place in the batch. The convolutions follow autocast as a network does;
    the comparison is in float32. No gradient reaches the teacher.

    It needs memory for about seven maps beyond its inputs: what each of its layers keeps for its
    gradient. This is inherent to the method.

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.
        drop: :math:`\lambda`, probability that a position is dropped.
        seed: seed of the masks.

    Shape:
        student ``(N, student_channels, H, W)``; teacher ``(N, teacher_channels, H, W)``;
        result ``()``.

    Returns:
        The loss in squared units of the features, at least 0.

    Raises:
        ValueError: ``drop`` is not in [0, 1), the maps differ in size, or a width is not the one
            declared.

    Source:
        Yang et al., "Masked Generative Distillation", ECCV 2022, arXiv:2205.01529, Eq. 5, and
        yzd-v/MGD. The published loss is a sum over values divided by N with weight 2e-5; on this
        mean the weight is 2e-5 · C · P, for example 41.9 for 512 channels of 64×64. The shipped
        recipe adds 3 · :func:`channelwise_kl` on the logits.
    """

    def __init__(
        self, student_channels: int, teacher_channels: int, drop: float = 0.75, seed: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise ValueError(f"MaskedGeneration: expected 0 <= drop < 1, got {drop}")
        self.channels = (student_channels, teacher_channels)
        self.drop = drop
        self.seed = seed
        self.steps = StepCount()
        self.align: nn.Module = nn.Identity()
        if student_channels != teacher_channels:
            self.align = Projector("linear", student_channels, teacher_channels)
        self.generate = nn.Sequential(
            nn.Conv2d(teacher_channels, teacher_channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(teacher_channels, teacher_channels, kernel_size=3, padding=1),
        )

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        generated = self.generated(student, teacher, batch)
        return feature_mse(generated, teacher, valid=valid_at(batch, student))

    def generated(self, student: Tensor, teacher: Tensor, batch: Batch | None) -> Tensor:
        """Return the map generated from the masked student's map, and count the step.

        Shape:
            as in the class; result as teacher.
        """
        check_maps("MaskedGeneration", student=student, teacher=teacher)
        check_widths("MaskedGeneration", self.channels, student=student, teacher=teacher)
        valid = valid_at(batch, student)
        maps: Tensor = self.align(student.to(next(self.generate.parameters()).dtype))
        maps = maps * self._mask(maps)
        for layer in self.generate:
            maps = layer(leave_out(maps, valid))
        if self.training and ends_step():
            self.steps.value += 1
        return maps

    def extra_repr(self) -> str:
        return f"drop={self.drop}"

    def _mask(self, maps: Tensor) -> Tensor:
        """Return ``(N, 1, H, W)`` with 0 where a position is dropped and 1 elsewhere."""
        images, _, height, width = maps.shape
        shape = (images, 1, height, width)
        step = self.steps.value
        keys = draw_uniform(self.seed, "mask", step, shape=shape, device=maps.device)
        return (keys >= self.drop).to(maps.dtype)
