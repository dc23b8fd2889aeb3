"""Bring two maps to one size and one width, so that a loss can compare them."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation

from segdistill.checks import nearest
from segdistill.losses.maths.precision import full_precision
from segdistill.upsampling import at_least, snap_excluded


def resize_like(maps: Tensor, other: Tensor) -> Tensor:
    """Resize a map bilinearly to the height and width of another.

    Corners are not aligned: a map is resized like an image. Half precision is converted to float32
    first, since interpolated values would be rounded too. Interpolating between -inf and any value
    gives :data:`segdistill.upsampling.LEAST`. If the sizes are equal, the map itself is returned.

    Args:
        maps: the map to resize.
        other: the map whose size is wanted; its channels do not matter.

    Shape:
        maps ``(N, C, H', W')``; other ``(..., H, W)``; result ``(N, C, H, W)``.

    Returns:
        The resized map, float32 or wider.

    Raises:
        ValueError: ``maps`` is not ``(N, C, H', W')``.
    """
    if maps.ndim != 4:
        raise ValueError(f"resize_like: expected a map (N, C, H, W), got {tuple(maps.shape)}")
    if maps.shape[-2:] == other.shape[-2:]:
        return maps
    (maps,) = full_precision(maps)
    resized = F.interpolate(at_least(maps), size=other.shape[-2:], mode="bilinear")
    return snap_excluded(resized)


class Projector(nn.Module):
    """Project a student's map to the width of the teacher's, position by position.

    It is trained with the student but is not part of it.

    Args:
        kind: ``"linear"``, a 1×1 convolution (FitNet, MIMIC); ``"conv_bn_relu"``, a 1×1
            convolution, batch norm and ReLU (angular distillation, Sec. 4.2); or ``"mlp"``, the
            same followed by another 1×1 convolution (CIRKD, Sec. 3.3).
        student_channels: number of input channels.
        teacher_channels: number of output channels.

    Shape:
        maps ``(N, student_channels, H, W)``; result ``(N, teacher_channels, H, W)``.

    Raises:
        ValueError: the kind is unknown, or a channel count is below 1.
    """

    def __init__(
        self,
        kind: Literal["linear", "conv_bn_relu", "mlp"],
        student_channels: int,
        teacher_channels: int,
    ) -> None:
        super().__init__()
        if kind not in _KINDS:
            raise ValueError(
                f"Projector: expected a known kind, got {kind!r}; {nearest(kind, _KINDS)}"
            )
        if min(student_channels, teacher_channels) < 1:
            raise ValueError(
                "Projector: expected at least 1 channel on both sides, "
                f"got {student_channels} and {teacher_channels}"
            )
        self.kind = kind
        self.layers = _KINDS[kind](student_channels, teacher_channels)

    def forward(self, maps: Tensor) -> Tensor:
        projected: Tensor = self.layers(maps)
        return projected


def check_widths(
    caller: str, channels: tuple[int, int], *, student: Tensor, teacher: Tensor
) -> None:
    """Refuse maps whose widths are not those a module was made for.

    Raises:
        ValueError: a width differs; the message names the widths expected and given.
    """
    given = (student.shape[1], teacher.shape[1])
    if given != channels:
        raise ValueError(
            f"{caller}: expected {channels[0]} channels of the student and {channels[1]} of the "
            f"teacher, got {given[0]} and {given[1]}; build the loss for these widths"
        )


def _linear(student: int, teacher: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(student, teacher, kernel_size=1))


def _conv_bn_relu(student: int, teacher: int) -> nn.Sequential:
    block: nn.Sequential = Conv2dNormActivation(student, teacher, kernel_size=1)
    return block


def _mlp(student: int, teacher: int) -> nn.Sequential:
    return nn.Sequential(
        *_conv_bn_relu(student, teacher),
        nn.Conv2d(teacher, teacher, kernel_size=1),
    )


_KINDS: dict[str, Callable[[int, int], nn.Sequential]] = {
    "linear": _linear,
    "conv_bn_relu": _conv_bn_relu,
    "mlp": _mlp,
}
