"""Pixel-wise distillation at full size without ever holding the full-size logits."""

from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.checks import check_batches, check_classes, check_positive
from segdistill.losses.maths.gather import share_of_count
from segdistill.losses.maths.launch import fits_kernel
from segdistill.losses.maths.positions import check_valid
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.maths.tiled import resizing_of, sum_over_tiles
from segdistill.upsampling import Tile


@without_autocast
def upsampled_kl(
    student: Tensor,
    teacher: Tensor,
    *,
    size: tuple[int, int],
    temperature: float = 1.0,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Compare the class distributions of each pixel of an image, at the image's size.

    It has the value of :func:`pixelwise_kl` of both maps resized bilinearly, each from its own
    stride, but the resized maps exist only one tile at a time. On a GPU with Triton they exist
    nowhere: one kernel computes loss and gradient, if the maps have one stride of 2 to 32 and are
    not float64. It is not twice differentiable. No gradient reaches the teacher. Half-precision
    maps are compared in float32.

    Args:
        student: logits of the student, at their own stride.
        teacher: logits of the teacher, at theirs.
        size: height and width at which they are compared.
        temperature: see :func:`pixelwise_kl`.
        valid: True where a position counts; None counts every position.

    Shape:
        student ``(N, K, h, w)``; teacher ``(N, K, h', w')``; valid ``(N, *size)``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding; if no position counts, 0 with
        a graph. A class to which the teacher gives -inf adds nothing, the limit of
        :math:`p \log p`; if only the student's logit is -inf, the loss is infinite.

    Raises:
        ValueError: the maps differ in images or classes or are not ``(N, K, h, w)``, ``valid``
            has another size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        That of :func:`pixelwise_kl`.
    """
    who = "upsampled_kl"
    check_batches(who, student=student, teacher=teacher)
    if student.shape[1] != teacher.shape[1]:
        raise ValueError(
            f"{who}: expected equal classes, got student {tuple(student.shape)} and "
            f"teacher {tuple(teacher.shape)}; map the classes by name first"
        )
    check_positive(who, temperature=temperature, height=size[0], width=size[1])
    check_classes(who, student)
    check_valid(who, valid, student.new_empty(len(student), 0, *size))

    teacher = teacher.detach()
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    resizing = resizing_of(teacher, size, dtype)

    def on_tile(values: Tensor, image: slice, tile: Tile) -> tuple[Tensor, Tensor]:
        pixels = teacher[(image, slice(None), *resizing.source(tile))].to(dtype)
        log_s = _log_softmax(values, temperature)
        log_t = _log_softmax(resizing.enlarge(pixels, tile), temperature)
        # In place where possible: allocating memory takes longer than the arithmetic.
        p = log_t.exp()
        divergence = log_t.sub_(log_s).mul_(p)
        slope = log_s.exp_().sub_(p)
        if temperature != 1:
            slope /= temperature
        if valid is not None:
            padded = ~valid[image, None, tile.rows, tile.columns]
            divergence.masked_fill_(padded, 0.0)
            slope.masked_fill_(padded, 0.0)
        return divergence.sum(), slope

    def at_once(kernels: ModuleType, needs_gradient: bool) -> tuple[Tensor, Tensor | None]:
        found: tuple[Tensor, Tensor | None] = kernels.divergence_sum(
            student,
            teacher,
            valid,
            size=size,
            temperature=temperature,
            needs_gradient=needs_gradient,
        )
        return found

    kernel = at_once if fits_kernel(size, student, teacher) else None
    total = sum_over_tiles(on_tile, student, size, dtype=dtype, kernel=kernel)
    count = len(student) * size[0] * size[1] if valid is None else share_of_count(valid.sum())
    return total * temperature**2 / count


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    return F.log_softmax(logits if temperature == 1 else logits / temperature, dim=1)
