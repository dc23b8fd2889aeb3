"""Dense contrast of channel groups (Af-DCD): pull each group towards the teacher's same group."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.feature_mse import feature_mse
from segdistill.losses.masked_generation import MaskedGeneration
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.types import Batch


@without_autocast
def contrast_groups(
    student: Tensor,
    teacher: Tensor,
    *,
    groups: int = 16,
    patch: int = 4,
    pool: int = 4,
    temperature: float = 0.07,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Contrast each channel group at each position with the teacher's groups around it.

    Both maps are max-pooled and split into patches, and their channels into :math:`M` groups. For
    anchor :math:`a`, group :math:`m` of the student at a position, let the positive be the same
    group at the same position of the teacher and the negatives :math:`\mathcal{N}_a` every other
    group at every position of the same patch; other positions of the same group are neither. With
    :math:`d` the L1 distance, summed over the channels of a group, and :math:`A` the anchors of
    all images,

    .. math::
        L = -\frac{1}{|A|} \sum_{a \in A} \log \frac{\exp(-d_{a+} / \tau)}
            {\exp(-d_{a+} / \tau) + \sum_{b \in \mathcal{N}_a} \exp(-d_{ab} / \tau)}.

    It is not 0 for equal maps, since their groups may be similar to each other. No gradient reaches
    the teacher. Half-precision maps are compared in float32. It works on a few rows of
    patches at a time: besides the gradient it holds about four maps of ``(patch · patch · M)²``
    distances per patch, 0.25 MiB each at the published settings. It is not twice differentiable.

    Args:
        student: features of the student.
        teacher: those of the teacher, of the same shape.
        groups: :math:`M`; the number of channels must be divisible by it.
        patch: side of a patch, in pooled positions; those at the border may be smaller.
        pool: side of the cells that are max-pooled first; 1 turns pooling off.
        temperature: :math:`\tau`, in units of the features.
        valid: True where a position counts, as an anchor and as a contrast; None counts every
            position. An image without any is left out of the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has another
            size, the channels do not divide into the groups, or a setting is not above 0.
        TypeError: ``valid`` is not bool.

    Source:
        Fan et al., "Augmentation-free Dense Contrastive Knowledge Distillation for Efficient
        Semantic Segmentation", NeurIPS 2023, and OSVAI/Af-DCD (Apache-2.0), from which these
        defaults are taken; on CamVid it does not pool. There the sum is divided by the number of
        images and positions but not by that of groups.
    """
    who = "contrast_groups"
    check_same_maps(who, student=student, teacher=teacher)
    check_positive(who, groups=groups, patch=patch, pool=pool, temperature=temperature)
    check_valid(who, valid, student)
    if student.shape[1] % groups:
        raise ValueError(
            f"{who}: expected channels that divide into {groups} groups, got {student.shape[1]}; "
            "change groups"
        )
    images, side, width = count_images(student, valid), patch * pool, student.shape[3]
    if valid is None and (student.shape[2] % side or width % side):
        valid = torch.ones_like(student[:, 0], dtype=torch.bool)
    if valid is None:
        # Not in the maps' own precision: half precision ends at 65504.
        anchors = torch.tensor(
            student[0, 0].numel() // pool**2 * groups, dtype=torch.float32, device=student.device
        )
    else:
        cells = F.max_pool2d(valid[:, None].float(), pool, ceil_mode=True)
        anchors = groups * cells.sum(dim=(1, 2, 3)).clamp_min(1)
    group = torch.arange(patch * patch * groups, device=student.device) % groups
    neither = group[:, None] == group
    neither.fill_diagonal_(False)

    def contrast(student: Tensor, teacher: Tensor, *valid: Tensor) -> Tensor:
        # From rows of patches to rows of a map.
        maps = [x.reshape(*x.shape[:2], -1, width) for x in (student, teacher, *valid)]
        pooled = [_max_pool(x, pool, *maps[2:]) for x in maps[:2]]
        ours, theirs = (_patches(x, groups, patch) for x in pooled)
        scores = torch.cdist(ours, theirs, p=1) / -temperature
        if valid:
            some = F.max_pool2d(maps[2].to(scores.dtype), pool, ceil_mode=True)
            counted = _patches(some, 1, patch)[..., 0] > 0  # (patches, positions)
            counted = counted.repeat_interleave(groups, dim=1)  # (patches, positions · groups)
            left_out = neither | ~counted[:, None, :]
            left_out.diagonal(dim1=1, dim2=2).fill_(False)
        else:
            left_out = neither
        logs = scores.masked_fill(left_out, -torch.inf).log_softmax(dim=2)
        values = logs.diagonal(dim1=1, dim2=2)
        if valid:
            values = values * counted
        return -(values.reshape(len(student), -1).sum(dim=1) / anchors).sum()

    rows = [_patch_rows(x, side) for x in (student, teacher)]
    if valid is not None:
        rows.append(_patch_rows(valid[:, None], side))
    return sum_over_blocks(contrast, *rows, dim=2) / images


class ContrastGroups(nn.Module):
    """:func:`contrast_groups` of a map generated from the masked student's, and its error.

    The student's map goes through the layers of :class:`MaskedGeneration`, which are trained with
    the student but are not part of it. The parts are ``feature``, the mean squared difference
    between the generated map and the teacher's, and ``contrast``, each multiplied by its weight.

    Given a batch, it leaves out the positions that augmentation padded. The mask depends only on
    the seed, the step and the image's place in the batch.

    It needs memory for about seven maps of the student's size beyond its inputs, most of them what
    the layers keep for their gradients.

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.
        feature_weight: weight of the part ``feature``.
        contrast_weight: weight of the part ``contrast``.
        drop: see :class:`MaskedGeneration`.
        groups: see :func:`contrast_groups`.
        patch: see :func:`contrast_groups`.
        pool: see :func:`contrast_groups`.
        temperature: see :func:`contrast_groups`.
        seed: seed of the masks.

    Source:
        see :func:`contrast_groups`. The published weights are 2e-6 on a sum of squares divided by
        the number of images, here 2e-6 · 2048 · 64 · 128 = 33.6 on the mean, for a teacher with
        2048 channels at stride 8 of 512×1024, and 0.005 on a sum over 16 groups, here 0.005 · 16 =
        0.08. One of the authors says that the gain is small without the part ``feature``.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        feature_weight: float = 33.6,
        contrast_weight: float = 0.08,
        drop: float = 0.75,
        groups: int = 16,
        patch: int = 4,
        pool: int = 4,
        temperature: float = 0.07,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive(
            "ContrastGroups", groups=groups, patch=patch, pool=pool, temperature=temperature
        )
        if teacher_channels % groups:
            raise ValueError(
                f"ContrastGroups: expected channels of the teacher that divide into {groups} "
                f"groups, got {teacher_channels}; change groups"
            )
        self.feature_weight = feature_weight
        self.contrast_weight = contrast_weight
        self.groups = groups
        self.patch = patch
        self.pool = pool
        self.temperature = temperature
        self.generation = MaskedGeneration(student_channels, teacher_channels, drop, seed)

    def forward(
        self, student: Tensor, teacher: Tensor, batch: Batch | None = None
    ) -> dict[str, Tensor]:
        generated = self.generation.generated(student, teacher, batch)
        valid = valid_at(batch, student)
        contrast = contrast_groups(
            generated,
            teacher,
            groups=self.groups,
            patch=self.patch,
            pool=self.pool,
            temperature=self.temperature,
            valid=valid,
        )
        return {
            "feature": self.feature_weight * feature_mse(generated, teacher, valid=valid),
            "contrast": self.contrast_weight * contrast,
        }

    def extra_repr(self) -> str:
        return f"groups={self.groups}, patch={self.patch}, pool={self.pool}"


def _patch_rows(maps: Tensor, side: int) -> Tensor:
    """Return maps ``(N, C, rows of patches, positions of such a row)``, 0 where they are filled up.

    Args:
        maps: ``(N, C, H, W)``.
        side: height of a patch.
    """
    missing = -maps.shape[2] % side
    if missing:
        maps = F.pad(maps, (0, 0, 0, missing))
    return maps.reshape(*maps.shape[:2], -1, side * maps.shape[3])


def _max_pool(maps: Tensor, pool: int, valid: Tensor | None = None) -> Tensor:
    """Return the maximum of the valid positions of each cell, 0 for a cell without any."""
    if valid is not None:
        maps = maps.masked_fill(~valid, -torch.inf)
    if pool > 1:
        maps = F.max_pool2d(maps, pool, ceil_mode=True)
    return maps if valid is None else maps.masked_fill(maps.isneginf(), 0.0)


def _patches(maps: Tensor, groups: int, patch: int) -> Tensor:
    """Return ``(patches, positions · groups, channels of a group)``, of whole patches."""
    rows, columns = (-size % patch for size in maps.shape[2:])
    maps = F.pad(maps, (0, columns, 0, rows))
    images, channels, height, width = maps.shape
    cut = maps.reshape(
        images, groups, channels // groups, height // patch, patch, width // patch, patch
    )
    # (N, M, C/M, rows, p, columns, p) to (N, rows, columns, p, p, M, C/M)
    return cut.permute(0, 3, 5, 4, 6, 1, 2).flatten(0, 2).flatten(1, 3)
