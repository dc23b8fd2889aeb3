"""Position prediction (IDD's second term): match where positions appear to be."""

import torch
from torch import Tensor, nn

from segdistill.checks import check_directions, check_maps
from segdistill.losses.maths.positions import count_positions, leave_out, valid_at
from segdistill.losses.maths.precision import full_precision
from segdistill.losses.maths.unit import unit
from segdistill.losses.modules.projector import check_widths
from segdistill.types import Batch


class PositionPrediction(nn.Module):
    r"""Predict from both maps where each position is, and compare the predictions.

    A 3×3 convolution of the directions of each network's map, :math:`g_x` and :math:`g_y`, trained
    with the student but not part of it, predicts row and column, :math:`r_p`, from -1 to 1. The
    teacher's convolution learns the true position; the student's, and the student through it, learn
    the teacher's prediction. With :math:`V` the valid positions of all images,

    .. math::
        L = \frac{1}{|V|} \sum_{p \in V} \|g_x(x)_p - g_y(y)_p\|^2 + \|g_y(y)_p - r_p\|^2,

    the first term without a gradient for :math:`g_y`. Each position is divided by three times its
    norm: what a convolution sees then has a norm of at most 1, and at weight 1 gradient descent on
    the teacher's convolution converges at any rate below 0.5, however large the features are. Given
    a batch, padded positions are set to 0 before the convolutions, like those outside the map. The
    convolutions follow autocast as a network does; the comparison is in float32. No gradient
    reaches the teacher.

    It needs memory for about six maps beyond its inputs: the directions of both, and what the
    convolutions keep and make for their gradients.

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.

    Shape:
        student ``(N, student_channels, H, W)``; teacher ``(N, teacher_channels, H, W)``;
        result ``()``.

    Returns:
        The loss in squared half sizes of the map, at least 0.

    Raises:
        ValueError: the maps differ in size, a width is not the one declared, or the student's map
            has one channel.

    Source:
        Zhang, Zhou and Tu, "Distilling Inter-Class Distance for Semantic Segmentation", IJCAI 2022,
        arXiv:2205.03650, has a module that predicts positions from the features and compares the
        predictions of both networks. Its layers, training and weight were not available: this form
        of it is ours.
    """

    def __init__(self, student_channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.channels = (student_channels, teacher_channels)
        self.student = nn.Conv2d(student_channels, 2, kernel_size=3, padding=1)
        self.teacher = nn.Conv2d(teacher_channels, 2, kernel_size=3, padding=1)

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        check_maps("PositionPrediction", student=student, teacher=teacher)
        check_directions("PositionPrediction", student)
        check_widths("PositionPrediction", self.channels, student=student, teacher=teacher)
        valid = valid_at(batch, student)
        dtype = self.student.weight.dtype
        student, given = (_directions(x, valid) for x in (student, teacher.detach()))
        ours, theirs = full_precision(
            self.student(student.to(dtype)), self.teacher(given.to(dtype))
        )
        truth = _places(ours, valid)
        differences = (ours - theirs.detach()).square() + (theirs - truth).square()
        return leave_out(differences, valid).sum() / count_positions(ours, valid)


def _directions(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Return maps whose 3×3 windows have a norm of at most 1, 0 at padded positions."""
    (maps,) = full_precision(maps)
    return unit(leave_out(maps, valid), dim=1) / 3


def _places(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Return row and column of each position, from -1 to 1 over the valid part of each image."""
    if valid is None:
        valid = torch.ones_like(maps[:, 0], dtype=torch.bool)
    places = []
    for axis in (1, 2):
        some = valid.any(dim=3 - axis).to(maps.dtype)  # (N, size)
        steps = some.cumsum(dim=1) - 1
        last = (some.sum(dim=1, keepdim=True) - 1).clamp_min(1)
        place = 2 * steps / last - 1
        places.append(place[:, :, None] if axis == 1 else place[:, None, :])
    rows, columns = (place.expand_as(valid) for place in places)
    return torch.stack([rows, columns], dim=1)
