"""Row-softmax KL between two similarity maps that are never fully held in memory."""

from typing import Any

import torch
from torch import Tensor

from segdistill.losses.maths.first_order import first_order

BLOCK = 512
"""Anchors compared at once: a block of so many rows is all that is held of a map."""

VALUES_ON_DEVICE = 2**23
"""Values of a block on an accelerator, which would wait for the launches of smaller ones.

Three maps of a block are held at once: 96 MiB in float32.
"""

NEVER = -1e9
"""Added to the score of a contrast that does not count: its probability is then exactly 0."""


def relation_kl(
    student: Tensor,
    teacher: Tensor,
    *,
    contrasts: tuple[Tensor, Tensor] | None,
    weights: Tensor,
    temperature: float,
    counted: Tensor | None = None,
) -> Tensor:
    r"""Compare how anchors relate to contrasts for the student and for the teacher.

    .. math::
        L = \frac{1}{M} \sum_m \sum_{n, a} w_{na}\,
            \mathrm{KL}(\sigma(y_{na}^T V_m / \tau) \,\|\, \sigma(x_{na}^T U_m / \tau))

    with one softmax over the contrasts of each set :math:`m`; sets without any are left out. A
    block of anchors holds whole rows, so their softmaxes, their share of the loss and its gradient
    :math:`(\sigma(s) - \sigma(t)) / \tau` are all available at once: the two gradients are
    accumulated in the forward pass, and backward scales them. The arithmetic is that of the direct
    form: two products for the scores and one or two for the gradients.

    Args:
        student: the student's anchors, :math:`x`.
        teacher: the teacher's anchors, :math:`y`; no gradient reaches them.
        contrasts: the student's and the teacher's contrasts, U and V; None stands for the anchors
            themselves, with each image as a set.
        weights: :math:`w`, the share of each anchor in the sum.
        temperature: :math:`\tau`.
        counted: True where a contrast counts, or None if all do.

    Shape:
        student ``(N, D, A)``; teacher ``(N, D', A)``; contrasts ``(M, D, K)`` and
        ``(M, D', K)``; weights ``(N, A)``; counted ``(M, K)``; result ``()``.
    """
    ours, theirs = (student, teacher) if contrasts is None else contrasts
    if counted is None:
        shares, bias = student.new_full((len(ours),), 1 / len(ours)), None
    else:
        some = counted.any(dim=1)
        shares = some.to(student.dtype) / some.sum().clamp_min(1)
        bias = torch.where(counted, 0.0, NEVER).to(student.dtype)
    loss: Tensor = _RowSoftmaxKL.apply(  # type: ignore[no-untyped-call]
        student,
        None if contrasts is None else ours,
        teacher,
        theirs,
        weights,
        (shares, bias),
        temperature,
    )
    return loss


def anchors_at_once(contrasts: Tensor) -> int:
    """Return how many anchors are compared at once with contrasts ``(M, D, K)``."""
    if contrasts.device.type == "cpu":
        return BLOCK
    return max(VALUES_ON_DEVICE // contrasts.shape[2], BLOCK)


class _RowSoftmaxKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        contrasts: Tensor | None,
        teacher: Tensor,
        teacher_contrasts: Tensor,
        weights: Tensor,
        of_sets: tuple[Tensor, Tensor | None],
        temperature: float,
    ) -> Tensor:
        shares, bias = of_sets
        ours = student if contrasts is None else contrasts
        gradient = torch.zeros_like(student) if ctx.needs_input_grad[0] else None
        # If the anchors are the contrasts, both parts go into one gradient.
        of_contrasts = gradient
        if contrasts is not None:
            of_contrasts = torch.zeros_like(ours) if ctx.needs_input_grad[1] else None
        total = student.new_zeros((), dtype=torch.float64)
        block = anchors_at_once(ours)
        for n in range(len(student)):
            for start in range(0, student.shape[2], block):
                rows = slice(start, start + block)
                anchors = student[n, :, rows].mT / temperature
                teacher_anchors = teacher[n, :, rows].mT / temperature
                for m in range(len(ours)):
                    value, slope = _block(
                        anchors @ ours[m],
                        teacher_anchors @ teacher_contrasts[m],
                        weights[n, rows, None] * shares[m],
                        None if bias is None else bias[m],
                    )
                    total += value
                    if gradient is not None:
                        # Not addmm_: in float64 a GPU refuses to add into columns of a matrix.
                        gradient[n, :, rows] += ours[m] @ slope.mT / temperature
                    if of_contrasts is not None:
                        of_contrasts[m].addmm_(anchors.mT, slope)
        ctx.save_for_backward(gradient, None if contrasts is None else of_contrasts)
        return total.to(student.dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients = [None if z is None else z * upstream for z in ctx.saved_tensors]
        return (*gradients, None, None, None, None, None)


def _block(
    scores: Tensor, teacher_scores: Tensor, share: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the weighted KL of a block of rows and its gradient with respect to the scores.

    Both score maps are overwritten; at most three maps of a block's size are held at once.
    """
    difference = teacher_scores - scores
    if bias is not None:
        scores += bias
        teacher_scores += bias
    # The peak's probability is at least 1 / K, so its log is safe and gives the normaliser.
    peak, teacher_peak = (z.amax(dim=1, keepdim=True) for z in (scores, teacher_scores))
    p = torch.softmax(scores, dim=1, out=scores)
    q = torch.softmax(teacher_scores, dim=1, out=teacher_scores)
    normaliser = peak - p.amax(dim=1, keepdim=True).log()
    teacher_normaliser = teacher_peak - q.amax(dim=1, keepdim=True).log()
    rows = difference.mul_(q).sum(dim=1, keepdim=True) + normaliser - teacher_normaliser
    return (rows * share).sum().double(), p.sub_(q).mul_(share)
