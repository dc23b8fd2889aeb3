"""Feature augmentation (FAKD): distil the student's logits as if its features varied randomly."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdistill.checks import check_maps, check_positive, check_same_maps
from segdistill.losses.channelwise_kl import channelwise_kl
from segdistill.losses.maths.class_means import one_hot
from segdistill.losses.maths.gather import sum_over_processes
from segdistill.losses.maths.part import ends_step
from segdistill.losses.maths.positions import (
    check_labels,
    resize_labels,
    valid_at,
    valid_labels,
)
from segdistill.losses.maths.precision import full_precision, without_autocast
from segdistill.losses.modules.steps import StepCount
from segdistill.losses.pixelwise_kl import pixelwise_kl
from segdistill.types import IGNORE_INDEX, Batch


@without_autocast
def augmented_logits(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor,
    variance: Tensor,
    *,
    strength: float = 0.5,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    r"""Return logits whose loss bounds the expected loss under varied features.

    If the features of class :math:`y` have variance :math:`\lambda \sigma^2_y` in each channel and
    the classifier's rows are :math:`w_k`,

    .. math:: \tilde z_k = z_k + \frac{\lambda}{2} \sum_c \sigma^2_{yc} (w_{kc} - w_{yc})^2.

    Positions without a label keep their logits, and a class at -inf stays excluded. The added term
    depends only on the labels, so it is a :math:`K \times K` table. Gradient flows to the logits
    and the weight.

    Args:
        logits: logits of the student.
        labels: class ids at the logits' size.
        weight: weight of the linear classifier.
        variance: :math:`\sigma^2`, for each class and channel.
        strength: :math:`\lambda`.
        ignore_index: label of a position that has no class.

    Shape:
        logits ``(N, K, H, W)``; labels ``(N, H, W)``; weight, variance ``(K, C)``; result as
        logits.

    Source:
        see :class:`FeatureAugmentation`.
    """
    logits, weight, variance = full_precision(logits, weight, variance.detach())
    own = (variance * weight.square()).sum(dim=1, keepdim=True)
    table = variance @ weight.square().T - 2 * (variance * weight) @ weight.T + own
    # One more row of zeros, for the positions without a label.
    table = torch.cat((table * (strength / 2), table.new_zeros(1, table.shape[1])))
    rows = torch.where(labels == ignore_index, len(weight), labels)
    return logits + table[rows].movedim(3, 1)


class FeatureAugmentation(nn.Module):
    """Compare :func:`augmented_logits` of the student with the teacher's logits.

    The variance of the student's features is kept for each class over all steps and all processes,
    in the ``state_dict``; in evaluation mode it is not updated. The features come from ``beside``;
    a single 1×1 convolution turns them into the student's logits. Given a batch, it leaves out the
    positions that augmentation padded, whatever their label.

    It needs memory for about seven maps of logits beyond its inputs, for the augmentation and both
    softmaxes with their gradients; that is little compared with the features of any network.

    Args:
        classifier: the student's last layer, a 1×1 convolution; it remains part of the student.
        strength: full strength of the augmentation.
        ramp: steps over which the strength rises from 0; 0 starts at full strength.
        temperature: temperature of the comparison.
        channelwise: compare by :func:`channelwise_kl` instead of :func:`pixelwise_kl`.

    Raises:
        ValueError: the classifier is not one 1×1 convolution, or the features are not its input.

    Source:
        Yuan et al., "FAKD: Feature Augmented Knowledge Distillation for Semantic Segmentation",
        WACV 2024, arXiv:2208.14143. The bound is that of implicit semantic data augmentation (Wang
        et al., NeurIPS 2019), on which the paper is based, written from memory: the strength, its
        rise over the whole of training and a separate variance for each channel belong to that
        family of methods and are not checked against the paper. Applying it together with the
        channel-wise comparison follows Niemann et al. 2023.
    """

    mean: Tensor
    variance: Tensor
    counts: Tensor

    def __init__(
        self,
        classifier: nn.Module,
        strength: float = 0.5,
        ramp: int = 0,
        temperature: float = 4.0,
        channelwise: bool = True,
    ) -> None:
        super().__init__()
        check_positive("FeatureAugmentation", strength=strength, temperature=temperature)
        if not isinstance(classifier, nn.Conv2d) or not _is_linear(classifier):
            raise ValueError(
                "FeatureAugmentation: expected a student whose logits are made by one 1x1 "
                f"convolution, got {type(classifier).__name__}; choose another loss, or a student "
                "with such a classifier"
            )
        # In a tuple: its parameters belong to the student, its checkpoint and its optimiser.
        self._classifier = (classifier,)
        classes, channels = classifier.weight.shape[:2]
        self.strength = strength
        self.ramp = ramp
        self.temperature = temperature
        self.channelwise = channelwise
        self.register_buffer("mean", torch.zeros(classes, channels, dtype=torch.float64))
        self.register_buffer("variance", torch.zeros(classes, channels, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.float64))
        self.steps = StepCount()

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        batch: Batch,
        *,
        beside: Sequence[tuple[Tensor, Tensor]],
    ) -> Tensor:
        who = "FeatureAugmentation"
        check_same_maps(who, student=student, teacher=teacher)
        weight = self._classifier[0].weight.flatten(start_dim=1)
        if len(beside) != 1 or beside[0][0].shape[1] != weight.shape[1]:
            raise ValueError(
                f"{who}: expected one map of {weight.shape[1]} channels beside the logits, the "
                f"classifier's input, got {[pair[0].shape[1] for pair in beside]}; name its tap "
                "in beside"
            )
        features = beside[0][0].detach()
        check_maps(who, student=features, teacher=student)
        labels = valid_labels(batch)
        check_labels(who, labels, student, classes=len(weight), ignore_index=IGNORE_INDEX)
        labels = resize_labels(labels, student.shape[2:])
        if self.training:
            self._update(features, labels)
        step = self.steps.value + 1
        strength = self.strength * min(1.0, step / self.ramp if self.ramp else 1.0)
        if self.training and ends_step():
            self.steps.value += 1
        variance = self.variance.to(torch.promote_types(student.dtype, torch.float32))
        augmented = augmented_logits(student, labels, weight, variance, strength=strength)
        compare = channelwise_kl if self.channelwise else pixelwise_kl
        valid = valid_at(batch, student)
        return compare(augmented, teacher, temperature=self.temperature, valid=valid)

    def extra_repr(self) -> str:
        return f"strength={self.strength}, ramp={self.ramp}"

    @torch.no_grad()
    @without_autocast
    def _update(self, features: Tensor, labels: Tensor) -> None:
        """Merge the moments of the global batch with those of earlier steps."""
        (features,) = full_precision(features)
        flat = features.flatten(start_dim=2)
        labels = torch.where(labels == IGNORE_INDEX, -1, labels).flatten(start_dim=1)
        membership = one_hot(labels, classes=len(self.counts), dtype=flat.dtype)

        def summed(values: Tensor) -> Tensor:
            return sum_over_processes((membership @ values.mT).double().sum(dim=0))

        counts = sum_over_processes(membership.sum(dim=(0, 2)).double())
        least = counts[:, None].clamp_min(1)
        mean = summed(flat) / least
        # Centred on the mean: subtracting the square of the mean would lose precision.
        offset = mean.to(flat.dtype).T @ membership
        variance = summed((flat - offset).square()) / least
        share = (counts / (counts + self.counts).clamp_min(1))[:, None]
        apart = (self.mean - mean).square()
        merged = share * variance + (1 - share) * self.variance + share * (1 - share) * apart
        self.variance.copy_(merged)
        self.mean.copy_(share * mean + (1 - share) * self.mean)
        self.counts += counts


def _is_linear(module: nn.Conv2d) -> bool:
    return (
        tuple(module.kernel_size) == (1, 1)
        and tuple(module.stride) == (1, 1)
        and module.groups == 1
    )
