"""Cross-entropy and divergence of resized logits, and their gradients, in one GPU launch each.

All positions between the same four source pixels depend on their logits alone. A program takes a
few such intervals, next to each other in a row, and each of their positions twice through all
classes: for its softmax, then for its loss and gradient. What the gradient is for the four pixels
is written to four maps that are added up afterwards, without atomics: the same bits each time.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from segdistill.upsampling import LEAST, intervals

_LEAST = tl.constexpr(LEAST)
_POSITIONS = 512  # of a program, which is one warp: 16 a thread leave registers for all of them


def cross_entropy_sum(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    *,
    label_smoothing: float,
    ignore_index: int,
    needs_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Return the sum of cross-entropy over the labelled positions, and its gradient.

    Shape:
        logits ``(N, K, h, w)``; labels ``(N, H, W)``; weights ``(K,)``; result ``()`` and that of
        the logits.

    Returns:
        The sum in float64, the gradient in float32, None unless needed.
    """
    plan = _plan(logits, (labels.shape[1], labels.shape[2]), needs_gradient)
    classes = logits.shape[1]
    if weights is None:
        weights = torch.ones(classes, dtype=torch.float32, device=logits.device)
    with torch.cuda.device_of(logits):
        _cross_entropy[plan.grid](
            logits,
            *logits.stride(),
            labels,
            *labels.stride(),
            weights.contiguous(),
            *plan.tables,
            plan.losses,
            plan.partials,
            plan.partials.stride(0),
            *logits.shape[1:],
            ignore_index,
            float(1 - label_smoothing),
            float(label_smoothing / classes),
            smooth=label_smoothing > 0,
            **plan.constants,
        )
    return _collect(plan, logits, needs_gradient)


def divergence_sum(
    student: Tensor,
    teacher: Tensor,
    valid: Tensor | None,
    *,
    size: tuple[int, int],
    temperature: float,
    needs_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Return the sum of the divergences over the positions that count, and its gradient.

    Shape:
        student, teacher ``(N, K, h, w)``; valid ``(N, *size)``; result ``()`` and that of the
        student.

    Returns:
        The sum in float64, without the factor of the temperature; the gradient in float32, None
        unless needed.
    """
    plan = _plan(student, size, needs_gradient)
    # Without a mask, any pointer will do: it is not read.
    mask = plan.losses[None, None] if valid is None else valid.view(torch.uint8)
    with torch.cuda.device_of(student):
        _divergence[plan.grid](
            student,
            *student.stride(),
            teacher,
            *teacher.stride(),
            mask,
            *mask.stride(),
            *plan.tables,
            plan.losses,
            plan.partials,
            plan.partials.stride(0),
            *student.shape[1:],
            float(1 / temperature),
            masked=valid is not None,
            **plan.constants,
        )
    return _collect(plan, student, needs_gradient)


class _Axis(NamedTuple):
    starts: Tensor
    scale: float
    most: int


class _Plan(NamedTuple):
    grid: tuple[int]
    tables: tuple[Tensor, float, Tensor, float]
    losses: Tensor
    partials: Tensor
    constants: dict[str, Any]


@lru_cache(maxsize=64)
def _axis(pixels: int, length: int, device: torch.device) -> _Axis:
    starts, scale = intervals(pixels, length)
    return _Axis(starts.to(device, torch.int32), scale, int(starts.diff().max()))


def _plan(logits: Tensor, size: tuple[int, int], needs_gradient: bool) -> _Plan:
    """Return the grid of programs, their tables and room for what they find."""
    images, classes, height, width = logits.shape
    rows, columns = (
        _axis(pixels, length, logits.device)
        for pixels, length in zip((height, width), size, strict=True)
    )
    block = [triton.next_power_of_2(axis.most) for axis in (rows, columns)]
    across = max(_POSITIONS // (block[0] * block[1]), 1)
    programs = images * (height + 1) * triton.cdiv(width + 1, across)
    shape = (4, images, classes, height + 1, width + 1) if needs_gradient else (4,)
    return _Plan(
        (programs,),
        (rows.starts, rows.scale, columns.starts, columns.scale),
        logits.new_empty(programs, dtype=torch.float32),
        logits.new_empty(shape, dtype=torch.float32),
        {
            "gradient": needs_gradient,
            "down": block[0],
            "along": block[1],
            "across": across,
            "num_warps": 1,
        },
    )


def _collect(plan: _Plan, logits: Tensor, needs_gradient: bool) -> tuple[Tensor, Tensor | None]:
    total = plan.losses.sum(dtype=torch.float64)
    if not needs_gradient:
        return total, None
    upper_left, upper_right, lower_left, lower_right = plan.partials
    gradient = torch.empty_like(logits, dtype=torch.float32)
    torch.add(upper_left[..., 1:, 1:], upper_right[..., 1:, :-1], out=gradient)
    gradient += lower_left[..., :-1, 1:]
    gradient += lower_right[..., :-1, :-1]
    return total, gradient


@triton.jit
def _corner(pointers):
    """Logits of a source pixel, of which -inf is computed with as LEAST; nan stays."""
    logits = tl.load(pointers).to(tl.float32)
    return tl.where(logits < _LEAST, _LEAST, logits)


@triton.jit
def _resized(plane, upper, lower, left, right, x, y):
    """The resized logits of a class, (down, along, across), from the offsets of their corners."""
    top = _corner(plane + upper + left)[None, :] * (1 - x)
    top += _corner(plane + upper + right)[None, :] * x
    bottom = _corner(plane + lower + left)[None, :] * (1 - x)
    bottom += _corner(plane + lower + right)[None, :] * x
    below = y[:, None, None]
    return top[None, :, :] * (1 - below) + bottom[None, :, :] * below


@triton.jit
def _seen(most, mass, logits):
    """The largest logit and the sum of exponentials, relative to it, with one more class."""
    above = logits - most
    ratio = tl.exp(-tl.abs(above))
    mass = tl.where(above > 0, mass * ratio + 1, mass + ratio)
    return tl.where(above > 0, logits, most), mass


@triton.jit
def _give_back(pointers, quarter, inside, slope, x, y):
    """Write what a slope at every position is for each of the four corners."""
    below = y[:, None, None]
    top = tl.sum(slope * (1 - below), axis=0)
    bottom = tl.sum(slope * below, axis=0)
    tl.store(pointers, tl.sum(top * (1 - x), axis=0), mask=inside)
    tl.store(pointers + quarter, tl.sum(top * x, axis=0), mask=inside)
    tl.store(pointers + 2 * quarter, tl.sum(bottom * (1 - x), axis=0), mask=inside)
    tl.store(pointers + 3 * quarter, tl.sum(bottom * x, axis=0), mask=inside)


@triton.jit
def _place(program, height, width, across: tl.constexpr):
    """The image, the row of intervals and the intervals in it that a program takes."""
    blocks = tl.cdiv(width + 1, across)
    lane = program % blocks * across + tl.arange(0, across)
    row = program // blocks % (height + 1)
    image = (program // (blocks * (height + 1))).to(tl.int64)
    return image, row, lane


@triton.jit
def _share(positions, interval, scale, pixels):
    """The weight of the second pixel; outside the map it is the only one, or the first is."""
    place = (positions.to(tl.float64) + 0.5) * scale - 0.5
    share = place.to(tl.float32) - (interval - 1).to(tl.float32)
    return tl.where(interval == 0, 1.0, tl.where(interval == pixels, 0.0, share))


@triton.jit
def _corners(row, lane, height, width, row_stride, column_stride):
    """The offsets of the rows and columns around intervals; outside the map, those of its edge."""
    upper = tl.maximum(row - 1, 0).to(tl.int64) * row_stride
    lower = tl.minimum(row, height - 1).to(tl.int64) * row_stride
    left = tl.minimum(tl.maximum(lane - 1, 0), width - 1).to(tl.int64) * column_stride
    right = tl.minimum(lane, width - 1).to(tl.int64) * column_stride
    return upper, lower, left, right


@triton.jit
def _cross_entropy(
    logits,
    image_stride,
    class_stride,
    row_stride,
    column_stride,
    labels,
    label_image_stride,
    label_row_stride,
    label_column_stride,
    weights,
    row_starts,
    row_scale,
    column_starts,
    column_scale,
    losses,
    partials,
    quarter,
    classes,
    height,
    width,
    ignore_index,
    kept,
    spread,
    smooth: tl.constexpr,
    gradient: tl.constexpr,
    down: tl.constexpr,
    along: tl.constexpr,
    across: tl.constexpr,
):
    program = tl.program_id(0)
    image, row, lane = _place(program, height, width, across)
    inside = lane <= width
    rows = tl.load(row_starts + row) + tl.arange(0, down)
    in_rows = rows < tl.load(row_starts + row + 1)
    y = _share(rows, row, row_scale, height)
    columns = tl.load(column_starts + lane, mask=inside, other=0)[None, :]
    columns += tl.arange(0, along)[:, None]
    in_columns = columns < tl.load(column_starts + lane + 1, mask=inside, other=0)[None, :]
    x = _share(columns, lane[None, :], column_scale, width)
    upper, lower, left, right = _corners(row, lane, height, width, row_stride, column_stride)

    exist = in_rows[:, None, None] & in_columns[None, :, :]
    places = (rows.to(tl.int64) * label_row_stride)[:, None, None]
    places += (columns.to(tl.int64) * label_column_stride)[None, :, :]
    truth = tl.load(labels + image * label_image_stride + places, mask=exist, other=0)
    counts = exist & (truth != ignore_index)
    hit = tl.load(weights + truth, mask=counts, other=0.0) * kept
    truth = truth.to(tl.int32)

    first = logits + image * image_stride
    most = tl.zeros((down, along, across), dtype=tl.float32) - float("inf")
    mass = tl.zeros((down, along, across), dtype=tl.float32)
    whole = hit
    plane = first
    for k in range(classes):
        values = _resized(plane, upper, lower, left, right, x, y)
        most, mass = _seen(most, mass, values)
        if smooth:
            whole += tl.where(counts, tl.load(weights + k) * spread, 0.0)
        plane += class_stride

    log_mass = tl.log(mass)
    loss = tl.zeros((along, across), dtype=tl.float32)
    around = (height + 1) * (width + 1)
    found = partials + image * classes * around + row * (width + 1)
    plane = first
    for k in range(classes):
        log_p = _resized(plane, upper, lower, left, right, x, y) - most - log_mass
        aim = tl.where(truth == k, hit, 0.0)
        if smooth:
            aim += tl.where(counts, tl.load(weights + k) * spread, 0.0)
        loss -= tl.sum(aim * log_p, axis=0)
        if gradient:
            _give_back(found + lane, quarter, inside, tl.exp(log_p) * whole - aim, x, y)
        plane += class_stride
        found += around
    tl.store(losses + program, tl.sum(tl.sum(loss, axis=0), axis=0))


@triton.jit
def _divergence(
    student,
    image_stride,
    class_stride,
    row_stride,
    column_stride,
    teacher,
    their_image_stride,
    their_class_stride,
    their_row_stride,
    their_column_stride,
    valid,
    valid_image_stride,
    valid_row_stride,
    valid_column_stride,
    row_starts,
    row_scale,
    column_starts,
    column_scale,
    losses,
    partials,
    quarter,
    classes,
    height,
    width,
    sharpness,
    masked: tl.constexpr,
    gradient: tl.constexpr,
    down: tl.constexpr,
    along: tl.constexpr,
    across: tl.constexpr,
):
    program = tl.program_id(0)
    image, row, lane = _place(program, height, width, across)
    inside = lane <= width
    rows = tl.load(row_starts + row) + tl.arange(0, down)
    in_rows = rows < tl.load(row_starts + row + 1)
    y = _share(rows, row, row_scale, height)
    columns = tl.load(column_starts + lane, mask=inside, other=0)[None, :]
    columns += tl.arange(0, along)[:, None]
    in_columns = columns < tl.load(column_starts + lane + 1, mask=inside, other=0)[None, :]
    x = _share(columns, lane[None, :], column_scale, width)
    upper, lower, left, right = _corners(row, lane, height, width, row_stride, column_stride)
    their_upper, their_lower, their_left, their_right = _corners(
        row, lane, height, width, their_row_stride, their_column_stride
    )

    counts = in_rows[:, None, None] & in_columns[None, :, :]
    if masked:
        places = (rows.to(tl.int64) * valid_row_stride)[:, None, None]
        places += (columns.to(tl.int64) * valid_column_stride)[None, :, :]
        counts = tl.load(valid + image * valid_image_stride + places, mask=counts, other=0) != 0

    first, their_first = student + image * image_stride, teacher + image * their_image_stride
    most = tl.zeros((down, along, across), dtype=tl.float32) - float("inf")
    mass = tl.zeros((down, along, across), dtype=tl.float32)
    their_most, their_mass = most, mass
    plane, their_plane = first, their_first
    for _ in range(classes):
        values = _resized(plane, upper, lower, left, right, x, y) * sharpness
        most, mass = _seen(most, mass, values)
        values = _resized(their_plane, their_upper, their_lower, their_left, their_right, x, y)
        their_most, their_mass = _seen(their_most, their_mass, values * sharpness)
        plane += class_stride
        their_plane += their_class_stride

    log_mass, their_log_mass = tl.log(mass), tl.log(their_mass)
    loss = tl.zeros((along, across), dtype=tl.float32)
    around = (height + 1) * (width + 1)
    found = partials + image * classes * around + row * (width + 1)
    plane, their_plane = first, their_first
    for _ in range(classes):
        values = _resized(plane, upper, lower, left, right, x, y)
        log_s = values * sharpness - most - log_mass
        values = _resized(their_plane, their_upper, their_lower, their_left, their_right, x, y)
        log_t = values * sharpness - their_most - their_log_mass
        p = tl.exp(log_t)
        loss += tl.sum(tl.where(counts, p * (log_t - log_s), 0.0), axis=0)
        if gradient:
            slope = tl.where(counts, (tl.exp(log_s) - p) * sharpness, 0.0)
            _give_back(found + lane, quarter, inside, slope, x, y)
        plane += class_stride
        their_plane += their_class_stride
        found += around
    tl.store(losses + program, tl.sum(tl.sum(loss, axis=0), axis=0))
