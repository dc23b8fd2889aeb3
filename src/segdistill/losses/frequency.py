"""Frequency distillation (FreeKD): compare wavelet bands where learned prompts look."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.haar import haar, inverse_haar
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
def masked_wavelet_l1(
    student: Tensor,
    teacher: Tensor,
    masks: Sequence[Tensor],
    *,
    low_masks: Tensor | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the high wavelet bands of two maps, each cell as much as the masks of its level say.

    The orthonormal Haar transform splits a map into a low band of half the size and three high
    bands, and the low band again at each of :math:`J` levels. With :math:`b_{njcok}` value
    :math:`k` of high band :math:`o` at level :math:`j`, and :math:`V_{nj}` the cells of that level
    with a valid position,

    .. math::
        L = \frac{1}{N} \sum_n \sum_{j=1}^{J} \frac{1}{3 M C |V_{nj}|} \sum_{m, c, o, k \in V_{nj}}
            m_{njmk} \, \big| b^x_{njcok} - b^y_{njcok} \big|.

    Odd sizes are extended by zeros, and padded positions are 0 in both maps. The masks come from
    the teacher: no gradient reaches them or the teacher. Half-precision maps are compared in
    float32. It needs memory for one map beyond its inputs, since the transform is linear and the
    masks of a level reduce to one weight per cell. It is not twice differentiable.

    Args:
        student: features of the student, :math:`x`.
        teacher: those of the teacher, :math:`y`, of the same shape.
        masks: values from 0 to 1 for each level, the finest first; each level halves the size,
            rounded up.
        low_masks: masks of the low band that is left, to compare it as well; None leaves it out.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; masks ``(N, M, ⌈H/2ʲ⌉, ⌈W/2ʲ⌉)`` for each level j;
        low_masks as the last of them; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in units of the features, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has another
            size, or there are no masks.
        TypeError: ``valid`` is not bool.

    Source:
        see :class:`Frequency`.
    """
    who = "masked_wavelet_l1"
    check_same_maps(who, student=student, teacher=teacher)
    check_valid(who, valid, student)
    check_positive(who, masks=len(masks))
    if valid is None:
        cells = torch.ones_like(student[:, :1], dtype=torch.float32)
    else:
        cells = valid[:, None].float()
    weights = []
    for mask in masks:
        cells = F.max_pool2d(cells, 2, ceil_mode=True)  # 1 where any position of the cell counts
        weights.append(_weight(mask, cells) / 3)
    low_weight = None if low_masks is None else _weight(low_masks, cells)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        low, total = student - teacher, student.new_zeros(())
        for weight in weights:
            low, high = haar(low)
            total = total + (high.abs() * weight[:, :, None]).sum()
        return total if low_weight is None else total + (low.abs() * low_weight).sum()

    total = sum_over_blocks(difference, student, teacher, dim=1, valid=valid)
    return total / (student.shape[1] * count_images(student, valid))


class Frequency(nn.Module):
    r""":func:`masked_wavelet_l1` within masks that prompts take from the teacher's wavelet bands.

    A prompt is a vector over channels of the teacher. With :math:`b_{jck}` the sum of the three
    high bands of level :math:`j`, its mask is :math:`\sigma(\sum_c \text{prompt}_c b_{jck})`; every
    level has prompts of its own, and so has the low band. First :meth:`prepare` trains them; after
    that they are fixed. They, the classifier that reads them and the progress are part of the
    ``state_dict``.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        teacher_channels: channels of both maps.
        classes: number of classes, for :meth:`prepare`.
        tokens: prompts of each level.
        levels: number of levels of the transform.
        low: compare the low band as well.
        seed: seed of the initial prompts.

    Source:
        Zhang et al., "FreeKD: Knowledge Distillation via Semantic Frequency Prompt", CVPR 2024,
        arXiv:2311.12079, read only in Gumpest/FreeKD (Apache-2.0), which has detectors alone: 3
        levels, 6 prompts of deviation 0.01, mean absolute differences of the high bands, weight 1,
        and a plain squared difference of weight 5 beside them. The three parts that its loss calls
        horizontal, vertical and diagonal are the three levels that its wavelet library returns,
        each with all its directions. It leaves out the low band, for which the paper has prompts
        too: ``low``. The paper's "position-aware relational" weights are not in that code, and not
        here. Which map of a segmenter the paper takes is not known.
    """

    def __init__(
        self,
        teacher_channels: int,
        classes: int,
        tokens: int = 6,
        levels: int = 3,
        low: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("Frequency", tokens=tokens, levels=levels)
        self.channels = teacher_channels
        self.levels = levels
        self.low = low
        generator = torch_generator(seed, "prompts")
        drawn = 0.01 * torch.randn(levels + 1, tokens, teacher_channels, generator=generator)
        self.prompts = nn.Parameter(drawn, requires_grad=False)
        self.reader = nn.Sequential(
            nn.BatchNorm2d(teacher_channels, affine=False, track_running_stats=False),
            nn.Conv2d(teacher_channels, classes, kernel_size=1),
        ).requires_grad_(False)
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
        """Train the prompts on the teacher's map, or resume where it left off.

        Each band of the map is multiplied by the sum of its masks and the map is put together
        again. A linear classifier on normalised channels, trained along, is to tell the labels
        from it; the mean Dice overlap of any two masks of a band is added. The paper fine-tunes the
        teacher itself on such a map. A loss only sees the teacher's map, so the teacher stays as it
        is: the classifier, the optimiser and the sum of both with weight 1 are ours.

        It uses plain SGD with the gradient clipped to norm 1, because features have any scale; see
        :func:`segdistill.losses.modules.stage.run_stage`.

        Args:
            features: function from a step, counted from 0, to the teacher's map of its batch.
            steps: number of training steps.
            labels: function from the same step to the labels, int64 ``(N, H', W')``, 255 for no
                class.
            valid: function from the same step to True where a position is not padding, of any size.
            progress: called after each step with the number of steps done and the loss.
            learning_rate: learning rate of SGD.

        Raises:
            ValueError: ``steps`` is below 1, or the map has a different width.
        """
        check_positive("Frequency", steps=steps)

        def loss(step: int) -> Tensor:
            given = features(step).detach()
            counted = None if valid is None else resize_valid(valid(step), given.shape[2:])
            return self._stage_loss(given, labels(step), counted)

        run_stage(
            loss,
            [self.prompts, *self.reader.parameters()],
            steps,
            prepared=self.prepared,
            planned=self.planned,
            progress=progress,
            learning_rate=learning_rate,
            largest_norm=1.0,
        )

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        check_same_maps("Frequency", student=student, teacher=teacher)
        widths = (self.channels, self.channels)
        check_widths("Frequency", widths, student=student, teacher=teacher)
        check_finished("Frequency", "trained prompts", self.prepared, self.planned)
        valid = valid_at(batch, student)
        with torch.no_grad():
            *masks, low_masks = self._masks(leave_out(teacher, valid))
        return masked_wavelet_l1(
            student, teacher, masks, low_masks=low_masks if self.low else None, valid=valid
        )

    def extra_repr(self) -> str:
        return f"tokens={self.prompts.shape[1]}, levels={self.levels}, low={self.low}"

    @without_autocast
    def _masks(self, maps: Tensor) -> list[Tensor]:
        """Return the masks of each level, the finest first, and those of the low band."""
        (maps,) = full_precision(maps)
        # The transform is linear: that of the products is the product with that of the maps.
        prompts = self.prompts.flatten(end_dim=1)[:, :, None, None].to(maps.dtype)
        products = F.conv2d(maps, prompts)
        masks = []
        for _ in range(self.levels):
            products, high = haar(products)
            tokens = self.prompts.shape[1]
            masks.append(high[:, :tokens].sum(dim=2).sigmoid())
            products = products[:, tokens:]
        return [*masks, products.sigmoid()]

    @without_autocast
    def _stage_loss(self, maps: Tensor, labels: Tensor, valid: Tensor | None) -> Tensor:
        if maps.ndim != 4 or maps.shape[1] != self.channels:
            raise ValueError(
                f"Frequency: expected features (N, {self.channels}, H, W), got "
                f"{tuple(maps.shape)}; build the loss for this teacher"
            )
        (maps,) = full_precision(leave_out(maps, valid))
        masks = self._masks(maps)
        sums = [mask.sum(dim=1, keepdim=True) for mask in masks]
        low, bands, sizes = maps, [], []
        for total in sums[:-1]:
            sizes.append(low.shape[2:])
            low, high = haar(low)
            bands.append(high * total[:, :, None])
        low = low * sums[-1]
        for size, high in zip(reversed(sizes), reversed(bands), strict=True):
            low = inverse_haar(low, high, size)
        dtype = next(self.reader.parameters()).dtype
        labels = resize_labels(labels, maps.shape[2:])
        if valid is not None:
            labels = labels.masked_fill(~valid, IGNORE_INDEX)
        logits = self.reader(leave_out(low, valid).to(dtype))
        entropy = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
        entropy = entropy / (labels != IGNORE_INDEX).sum().clamp_min(1)
        return entropy + torch.stack([dice_overlap(mask) for mask in masks]).sum()


def _weight(masks: Tensor, cells: Tensor) -> Tensor:
    """Return what each cell counts by: its mean mask divided by the cells of its image."""
    (masks,) = full_precision(masks.detach())
    counts = cells.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return masks.mean(dim=1, keepdim=True) * cells / counts
