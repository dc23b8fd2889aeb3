"""Cross-attention distillation (CanKD): the student's map refined by looking at the teacher's."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_maps, check_positive
from segdistill.losses.feature_mse import feature_mse
from segdistill.losses.maths.positions import leave_out, valid_at
from segdistill.losses.maths.precision import full_precision
from segdistill.losses.modules.projector import Projector, check_widths
from segdistill.types import Batch

_EPSILON = 1e-5
"""Added to the variance of a channel, as torch's instance norm does."""


class CrossAttention(nn.Module):
    r"""Let each position of the student's map attend to the teacher's, then compare the two.

    With A a 1×1 convolution if the widths differ, :math:`\theta, \phi, g` 1×1 convolutions to fewer
    channels, the teacher's map max-pooled by 2 for :math:`\phi` and :math:`g`, :math:`P'` its valid
    cells and W a 1×1 convolution with batch norm that starts at 0,

    .. math::
        z = A(x) + W\Big( \frac{1}{P'} \theta(A(x))^T \phi(y)\, g(y)^T \Big), \qquad
        L = \frac{1}{2 C |V|} \sum_{c, p \in V} (\mathrm{IN}(z) - \mathrm{IN}(y))_{cp}^2,

    where IN normalises each channel of each image by its mean and deviation over the valid
    positions, and V are the valid positions of all images. There is no softmax, so the product of
    :math:`\phi` and :math:`g` is computed first and no map over pairs of positions is built.

    All layers are trained with the student but are not part of it; they follow autocast as a
    network does, while the comparison is in float32. Batch norm sees padded positions as 0. No
    gradient reaches the teacher.

    It needs memory for about nine maps beyond its inputs: A(x), the output of W and both maps
    normalised, and what its layers keep and make for their gradients. This is inherent to the
    method.

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.
        reduction: factor by which :math:`\theta, \phi, g` are narrower than the teacher.

    Shape:
        student ``(N, student_channels, H, W)``; teacher ``(N, teacher_channels, H, W)``;
        result ``()``.

    Returns:
        The loss, unitless, at least 0; 1 for maps that have nothing to do with each other.

    Raises:
        ValueError: the maps differ in size, a width is not the one declared, or the reduction is
            below 1.

    Source:
        "CanKD", WACV 2026, arXiv:2511.21503, and tori-hotaru/CanKD (Apache-2.0): the last backbone
        stage, from 512 to 2048 channels; weight 5 in its README, 10 in its DeepLabV3 configs.
        Starting W at 0 and pooling the keys are taken from that code.
    """

    def __init__(self, student_channels: int, teacher_channels: int, reduction: int = 2) -> None:
        super().__init__()
        check_positive("CrossAttention", reduction=reduction)
        self.channels = (student_channels, teacher_channels)
        self.reduction = reduction
        inner = max(teacher_channels // reduction, 1)
        self.align: nn.Module = nn.Identity()
        if student_channels != teacher_channels:
            self.align = Projector("linear", student_channels, teacher_channels)
        self.query, self.key, self.value = (
            nn.Conv2d(teacher_channels, inner, kernel_size=1) for _ in range(3)
        )
        self.refine = nn.Conv2d(inner, teacher_channels, kernel_size=1)
        self.norm = nn.BatchNorm2d(teacher_channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        check_maps("CrossAttention", student=student, teacher=teacher)
        check_widths("CrossAttention", self.channels, student=student, teacher=teacher)
        valid = valid_at(batch, student)
        (given,) = full_precision(teacher.detach())
        dtype = self.query.weight.dtype
        aligned = self.align(student.to(dtype))
        pooled, cells = _max_pool(given.to(dtype), valid)
        keys, values = (
            (layer(pooled) * cells).flatten(start_dim=2) for layer in (self.key, self.value)
        )
        counts = cells.sum(dim=(1, 2, 3)).clamp_min(1)
        seen = (values @ keys.mT) / counts[:, None, None]  # (N, D, D)
        query = self.query(aligned).flatten(start_dim=2)
        attended = (seen.to(query.dtype) @ query).unflatten(2, student.shape[2:])
        refined = aligned + self.norm(leave_out(self.refine(attended), valid))
        ours, theirs = full_precision(refined, given)
        ours, theirs = (_instance_norm(maps, valid) for maps in (ours, theirs))
        return feature_mse(ours, theirs, valid=valid) / 2

    def extra_repr(self) -> str:
        return f"reduction={self.reduction}"


def _max_pool(maps: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return maxima over the valid positions of 2×2 cells, and 1 where a cell has any."""
    if valid is not None:
        maps = maps.masked_fill(~valid[:, None], -torch.inf)
    pooled = F.max_pool2d(maps, 2, ceil_mode=True)
    cells = (~pooled[:, :1].isneginf()).to(maps.dtype)
    return pooled.masked_fill(pooled.isneginf(), 0.0), cells


def _instance_norm(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Return maps minus their mean, divided by their deviation, per channel and image."""
    if valid is None:
        count: Tensor | int = maps[0, 0].numel()
    else:
        count = valid.flatten(start_dim=1).sum(dim=1).clamp_min(1)[:, None, None, None]
    maps = leave_out(maps, valid)
    centred = leave_out(maps - maps.sum(dim=(2, 3), keepdim=True) / count, valid)
    variance = centred.square().sum(dim=(2, 3), keepdim=True) / count
    return centred * (variance + _EPSILON).rsqrt()
