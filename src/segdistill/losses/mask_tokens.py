"""Masked distillation by tokens (MasKD): compare by regions found in the teacher's logits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.overlap import dice_overlap
from segdistill.losses.maths.positions import (
    check_valid,
    count_images,
    leave_out,
    resize_labels,
    resize_valid,
    valid_at,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.modules.projector import check_widths
from segdistill.losses.modules.stage import check_finished, run_stage
from segdistill.losses.modules.steps import StepCount
from segdistill.seeding import torch_generator
from segdistill.types import IGNORE_INDEX, Batch


@without_autocast
def masked_mse(
    student: Tensor, teacher: Tensor, masks: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    r"""Compare two maps value by value within masks, each mask with its own mean.

    With :math:`m_{ntp}` from 0 to 1 and sums over the valid positions of an image,

    .. math::
        L = \frac{1}{2 N M C} \sum_{n, t, c}
            \frac{\sum_p m_{ntp}^2 (x_{ncp} - y_{ncp})^2}{\sum_p m_{ntp}}.

    The masks come from the teacher: no gradient reaches them or the teacher. Half-precision maps
    are compared in float32. It needs memory for two maps beyond its inputs, since the masks reduce
    to one weight per position. It is not twice differentiable.

    Args:
        student: logits or features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        masks: :math:`m`, :math:`M` per image.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; masks ``(N, M, H, W)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss in squared units of the maps, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or ``valid`` has another
            size.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`MaskTokens`.
    """
    who = "masked_mse"
    check_same_maps(who, student=student, teacher=teacher)
    check_valid(who, valid, student)
    (masks,) = full_precision(leave_out(masks.detach(), valid))
    sums = masks.sum(dim=(2, 3), keepdim=True).clamp_min(1e-5)  # as in hunto/MasKD
    weights = (masks.square() / sums).mean(dim=1, keepdim=True)

    def difference(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
        return ((student - teacher).square() * weights).sum()

    total = sum_over_blocks(difference, student, teacher, weights, dim=2, valid=valid)
    return total / (2 * count_images(student, valid) * student.shape[1])


class MaskTokens(nn.Module):
    r""":func:`masked_mse` of logits within masks that tokens take from the teacher's.

    A token is a vector over classes, and its mask :math:`\sigma(\text{token} \cdot y_p)`. First
    :meth:`prepare` trains the tokens on the teacher's logits: the cross-entropy of the logits,
    summed over the masks, against the labels, and the mean Dice overlap of any two masks. After
    that they are fixed. The tokens and the progress are part of the ``state_dict``.

    It compares the logits themselves, so it has no finite limit if one of them is -inf: a teacher
    that excludes a class needs another loss, such as :func:`pixelwise_kl`. Given a batch, it leaves
    out the positions that augmentation padded.

    It needs memory for about four maps of logits beyond its inputs, which is little compared with
    the features of any network.

    Args:
        teacher_channels: number of classes.
        tokens: number of masks.
        seed: seed of the initial tokens.

    Source:
        Huang et al., "Masked Distillation with Receptive Tokens", ICLR 2023, and hunto/MasKD
        (Apache-2.0): 8 tokens drawn with deviation 0.01, weight 1, the division by tokens and
        classes and the factor 1/2. There the teacher is in training mode while the tokens are
        trained; here it is in the same mode as during distillation. The optimiser of that stage is
        ours.
    """

    def __init__(self, teacher_channels: int, tokens: int = 8, seed: int = 0) -> None:
        super().__init__()
        check_positive("MaskTokens", tokens=tokens)
        self.channels = teacher_channels
        generator = torch_generator(seed, "tokens")
        drawn = 0.01 * torch.randn(tokens, teacher_channels, generator=generator)
        self.tokens = nn.Parameter(drawn, requires_grad=False)
        self.prepared = StepCount()
        self.planned = StepCount()

    def prepare(
        self,
        features: Callable[[int], Tensor],
        steps: int,
        *,
        labels: Callable[[int], Tensor],
        valid: Callable[[int], Tensor] | None = None,
        progress: Callable[[int, Tensor], None] | None = None,
        learning_rate: float = 0.1,
    ) -> None:
        """Train the tokens on the teacher's logits, or resume where it left off.

        It uses plain SGD, so that the tokens are its only state; see
        :func:`segdistill.losses.modules.stage.run_stage`.

        Args:
            features: function from a step, counted from 0, to the teacher's logits of its batch.
            steps: number of training steps.
            labels: function from the same step to the labels, int64 ``(N, H', W')``, 255 for no
                class.
            valid: function from the same step to True where a position is not padding, of any size.
            progress: called after each step with the number of steps done and the loss.
            learning_rate: learning rate of SGD.

        Raises:
            ValueError: ``steps`` is below 1, or the logits have a different width.
        """
        check_positive("MaskTokens", steps=steps)

        def loss(step: int) -> Tensor:
            given = features(step).detach()
            counted = None if valid is None else resize_valid(valid(step), given.shape[2:])
            return self._stage_loss(given, labels(step), counted)

        run_stage(
            loss,
            [self.tokens],
            steps,
            prepared=self.prepared,
            planned=self.planned,
            progress=progress,
            learning_rate=learning_rate,
        )

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        check_same_maps("MaskTokens", student=student, teacher=teacher)
        widths = (self.channels, self.channels)
        check_widths("MaskTokens", widths, student=student, teacher=teacher)
        check_finished("MaskTokens", "trained tokens", self.prepared, self.planned)
        valid = valid_at(batch, student)
        with torch.no_grad():
            masks = self._masks(teacher)
        return masked_mse(student, teacher, masks, valid=valid)

    def extra_repr(self) -> str:
        return f"tokens={len(self.tokens)}"

    @without_autocast
    def _masks(self, logits: Tensor) -> Tensor:
        """Return ``(N, M, H, W)`` masks from 0 to 1."""
        (logits,) = full_precision(logits.detach())
        return F.conv2d(logits, self.tokens[:, :, None, None].to(logits.dtype)).sigmoid()

    @without_autocast
    def _stage_loss(self, logits: Tensor, labels: Tensor, valid: Tensor | None) -> Tensor:
        if logits.ndim != 4 or logits.shape[1] != self.channels:
            raise ValueError(
                f"MaskTokens: expected logits (N, {self.channels}, H, W), got "
                f"{tuple(logits.shape)}; build the loss for this teacher"
            )
        (logits,) = full_precision(logits)
        masks = leave_out(self._masks(logits), valid)
        labels = resize_labels(labels, logits.shape[2:])
        if valid is not None:
            labels = labels.masked_fill(~valid, IGNORE_INDEX)
        summed = logits * masks.sum(dim=1, keepdim=True)
        entropy = F.cross_entropy(summed, labels, ignore_index=IGNORE_INDEX, reduction="sum")
        entropy = entropy / (labels != IGNORE_INDEX).sum().clamp_min(1)
        return entropy + dice_overlap(masks)
