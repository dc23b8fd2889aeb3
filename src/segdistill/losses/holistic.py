"""Holistic distillation (SKD): let a critic tell the student's maps from the teacher's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.gather import draw_uniform
from segdistill.losses.maths.part import ends_step
from segdistill.losses.maths.positions import leave_out, valid_at
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.modules.critic import Critic
from segdistill.losses.modules.steps import StepCount
from segdistill.seeding import derive
from segdistill.types import Batch

Score = Callable[[Tensor, Tensor], Tensor]
"""From maps and images to scores ``(N,)``: a :class:`Critic`, or any function like it."""


@without_autocast
def critic_loss(
    critic: Score,
    student: Tensor,
    teacher: Tensor,
    images: Tensor,
    *,
    penalty_weight: float = 10.0,
    seed: int = 0,
) -> Tensor:
    r"""Return what the critic minimises: the Wasserstein distance and the gradient penalty.

    With :math:`D` the critic, :math:`I` the images and :math:`z_n` a point drawn between
    :math:`x_n` and :math:`y_n`,

    .. math::
        L = \frac{1}{N} \sum_n D(x_n, I_n) - D(y_n, I_n)
            + \lambda (\|\nabla_z D(z_n, I_n)\|_2 - 1)^2.

    It trains only the critic: no gradient reaches the student or the teacher. Half
    precision is computed in float32.

    Args:
        critic: :math:`D`.
        student: the student's segmentation maps, :math:`x`.
        teacher: the teacher's, :math:`y`, of the same shape.
        images: :math:`I`, the condition.
        penalty_weight: :math:`\lambda`; 0 turns the penalty off.
        seed: seed of the interpolated points.

    Shape:
        student, teacher ``(N, K, H, W)``; images ``(N, 3, H', W')``; result ``()``.

    Returns:
        The critic's loss, unbounded.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``, or the weight is not
            a finite number of at least 0.

    Source:
        Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019,
        Eq. 3 and Sec. 3.2, minimised over D; penalty of Gulrajani et al. 2017,
        arXiv:1704.00028.
    """
    check_same_maps("critic_loss", student=student, teacher=teacher)
    if penalty_weight != 0:
        check_positive("critic_loss", penalty_weight=penalty_weight)
    student, teacher = full_precision(student.detach(), teacher.detach())
    distance: Tensor = critic(student, images).mean() - critic(teacher, images).mean()
    if penalty_weight == 0:
        return distance
    mixed = torch.lerp(student, teacher, _shares(student, seed)).requires_grad_()
    with torch.enable_grad():
        scores = critic(mixed, images).sum()
        (slope,) = torch.autograd.grad(scores, mixed, create_graph=True)
    steepness = torch.linalg.vector_norm(slope.flatten(start_dim=1), dim=1)
    penalty: Tensor = (steepness - 1).square().mean()
    return distance + penalty_weight * penalty


@without_autocast
def hinge_critic_loss(critic: Score, student: Tensor, teacher: Tensor, images: Tensor) -> Tensor:
    r"""Return what the critic minimises in the hinge form, which has no gradient penalty.

    .. math:: L = \frac{1}{N} \sum_n \max(0, 1 + D(x_n, I_n)) + \max(0, 1 - D(y_n, I_n))

    Args:
        critic: :math:`D`.
        student: the student's segmentation maps, :math:`x`.
        teacher: the teacher's, :math:`y`, of the same shape.
        images: :math:`I`, the condition.

    Shape:
        student, teacher ``(N, K, H, W)``; images ``(N, 3, H', W')``; result ``()``.

    Returns:
        The critic's loss, at least 0.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, K, H, W)``.

    Source:
        CIRKD's comparison with SKD (winycg/CIRKD); Lim and Ye 2017, arXiv:1705.02894.
    """
    check_same_maps("hinge_critic_loss", student=student, teacher=teacher)
    student, teacher = full_precision(student.detach(), teacher.detach())
    worse, better = critic(student, images), critic(teacher, images)
    return F.relu(1 + worse).mean() + F.relu(1 - better).mean()


@without_autocast
def generator_loss(critic: Score, student: Tensor, images: Tensor) -> Tensor:
    r"""Return what the student minimises: the negative of the critic's score of its maps.

    .. math:: L = -\frac{1}{N} \sum_n D(x_n, I_n)

    Args:
        critic: :math:`D`.
        student: the student's segmentation maps, :math:`x`.
        images: :math:`I`, the condition.

    Shape:
        student ``(N, K, H, W)``; images ``(N, 3, H', W')``; result ``()``.

    Returns:
        The loss, unbounded.

    Source:
        Liu et al., CVPR 2019, Sec. 3.2.
    """
    (student,) = full_precision(student)
    return -critic(student, images).mean()


@dataclass(frozen=True)
class Adversary:
    """What a training loop needs to train a critic alongside the student.

    Attributes:
        critic: the network to train; its parameters are not in the student's optimiser.
        loss: function from the student's map, the teacher's map and the batch to the critic's loss.
        score: function from logits and images to scores ``(N,)``, preparing them as in training.
        optimizer: ``"adam"`` or ``"sgd"``.
        learning_rate: learning rate of the optimiser.
        betas: betas of Adam.
        momentum: momentum of SGD.
        weight_decay: L2 penalty, for both.
        scheduled: whether the rate falls in proportion to the student's.
    """

    critic: nn.Module
    loss: Callable[[Tensor, Tensor, Batch], Tensor]
    score: Score
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 4e-4
    betas: tuple[float, float] = (0.9, 0.99)
    momentum: float = 0.9
    weight_decay: float = 0.0
    scheduled: bool = False


class Holistic(nn.Module):
    """:func:`generator_loss` of the student's logits, with its critic.

    The critic sees logits, "which are real valued" (Sec. 2), as in the code of SKD, IFVD and CIRKD.
    Given probabilities, the student's gradient is an order of magnitude smaller, and a published
    weight means something else. Padded positions are 0 in both networks' maps, so that they do not
    tell the two apart. The critic's weights are in the ``state_dict``, and the loss of the student
    sends no gradient to them.

    The paper does not say how its critic is optimised. The default is Adam with learning rate 4e-4
    and betas 0.9 and 0.99, as in YukangWang/IFVD (where the rate follows the student's) and in
    CIRKD's comparison (winycg/CIRKD, ``train_kd.py``: a constant rate, the hinge form). SKD's own
    code (``networks/kd_model.py``, ``run_train_val.sh``) uses SGD with learning rate 4e-4, momentum
    0.9 and weight decay 5e-4, and the student's poly schedule. All three multiply the critic's loss
    by 0.1.

    Args:
        classes: channels of the maps.
        width: see :class:`Critic`.
        bound_last: see :class:`Critic`.
        softmax: give the critic class probabilities instead of logits; logits may not be -inf.
        hinge: train the critic with :func:`hinge_critic_loss`, which has no penalty.
        penalty_weight: see :func:`critic_loss`; 10 in Gulrajani et al. and in SKD's code.
        critic_weight: weight of the critic's own loss.
        optimizer: the critic's optimiser, ``"adam"`` or ``"sgd"``.
        learning_rate: learning rate of the critic's optimiser; 4e-4 in all three.
        betas: betas of Adam.
        momentum: momentum of SGD.
        weight_decay: weight decay of the critic's optimiser.
        scheduled: let the critic's rate fall with the student's.
        seed: seed of the points of the gradient penalty.

    Shape:
        student, teacher ``(N, classes, H, W)``; result ``()``.

    Returns:
        The loss, unitless, unbounded.

    Raises:
        ValueError: a setting is out of range, or the maps differ in shape.

    Source:
        Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019,
        Sec. 3.1 and Eq. 3; weight 0.1.
    """

    def __init__(
        self,
        classes: int,
        width: int = 64,
        bound_last: bool = False,
        softmax: bool = False,
        hinge: bool = False,
        penalty_weight: float = 10.0,
        critic_weight: float = 1.0,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 4e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        scheduled: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("Holistic", critic_weight=critic_weight, learning_rate=learning_rate)
        self.critic = Critic(classes, width, bound_last)
        self.softmax = softmax
        self.hinge = hinge
        self.penalty_weight = penalty_weight
        self.critic_weight = critic_weight
        self.seed = seed
        self.steps = StepCount()
        self._adversary = Adversary(
            self.critic,
            self.critic_loss,
            self.score,
            optimizer=optimizer,
            learning_rate=learning_rate,
            betas=betas,
            momentum=momentum,
            weight_decay=weight_decay,
            scheduled=scheduled,
        )

    @property
    def adversary(self) -> Adversary:
        """The critic and how to train it."""
        return self._adversary

    def critic_loss(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """Return the weighted loss of the critic on both maps, for its optimiser."""
        # They depend on the step: new points each time, and the same ones in a resumed run.
        seed = derive(self.seed, "critic", self.steps.value)
        if ends_step():
            self.steps.value += 1
        ours, theirs = (self._seen(x.detach(), batch) for x in (student, teacher))
        if self.hinge:
            loss = hinge_critic_loss(self.critic, ours, theirs, batch.images)
        else:
            loss = critic_loss(
                self.critic,
                ours,
                theirs,
                batch.images,
                penalty_weight=self.penalty_weight,
                seed=seed,
            )
        return self.critic_weight * loss

    def score(self, logits: Tensor, images: Tensor) -> Tensor:
        """Return the critic's score of each map of logits, ``(N,)``; no position is left out."""
        scores: Tensor = self.critic(self._given(logits), images)
        return scores

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        check_same_maps("Holistic", student=student, teacher=teacher)
        with _frozen(self.critic):
            return generator_loss(self.critic, self._seen(student, batch), batch.images)

    def extra_repr(self) -> str:
        return (
            f"softmax={self.softmax}, hinge={self.hinge}, penalty_weight={self.penalty_weight}, "
            f"critic_weight={self.critic_weight}"
        )

    def _seen(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return a map as the critic sees it, with padded positions set to 0."""
        maps = self._given(logits)
        return leave_out(maps, valid_at(batch, maps))

    def _given(self, logits: Tensor) -> Tensor:
        (maps,) = full_precision(logits)
        return maps.softmax(dim=1) if self.softmax else maps


@contextmanager
def _frozen(critic: nn.Module) -> Iterator[None]:
    """Keep gradients of what is computed inside from reaching the critic's parameters."""
    parameters = [parameter for parameter in critic.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _shares(maps: Tensor, seed: int) -> Tensor:
    """Return one number from 0 to 1 for each image, ``(N, 1, 1, 1)``."""
    shape = (len(maps), 1, 1, 1)
    return draw_uniform(seed, "gradient penalty", shape=shape, device=maps.device).to(maps.dtype)
