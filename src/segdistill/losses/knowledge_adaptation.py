"""Knowledge adaptation (KA): match a teacher's features as an autoencoder encodes them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segdistill.checks import check_batches, check_positive
from segdistill.losses.adaptation import adaptation, check_orders
from segdistill.losses.affinity import affinity
from segdistill.losses.maths.positions import resize_valid, valid_at
from segdistill.losses.maths.precision import full_precision
from segdistill.losses.modules.autoencoder import (
    Autoencoder,
    autoencoder_loss,
    conv_bn_relu,
    through,
)
from segdistill.losses.modules.projector import check_widths, resize_like
from segdistill.losses.modules.stage import check_finished, run_stage
from segdistill.losses.modules.steps import StepCount
from segdistill.types import Batch


class KnowledgeAdaptation(nn.Module):
    """:func:`adaptation` and :func:`affinity` with respect to a teacher's encoded features.

    First :meth:`prepare` trains an autoencoder on the teacher's features. Then the student's map
    goes through two adapters, one for each part, and is compared with the teacher's map after the
    frozen encoder, which halves its height and width: a teacher at stride 8 then matches a student
    at stride 16; if the sizes still differ, the encoded map is resized bilinearly. The maps are
    passed in as they are, with different sizes.

    Given a batch, padded positions are set to 0 before every convolution here, like those outside
    the map, and are left out of both parts; batch norm averages over them as in a network.

    The parts are ``adapt`` and ``affinity``, each multiplied by its weight. Adapters are trained
    with the student but are not part of it; they follow autocast as a network does, while the
    comparison is in float32. The autoencoder and the progress of ``prepare`` are in the
    ``state_dict``.

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.
        adapt_weight: weight of the part ``adapt``; 50 in the paper.
        affinity_weight: weight of the part ``affinity``; 1 in the paper.
        p: see :func:`adaptation`; 1 for the L1 form of Fig. 5.
        q: see :func:`adaptation`.
        adapter_layers: number of 3×3 convolutions with batch norm and ReLU in an adapter; 3 in the
            appendix, 1 in Sec. 3.1.

    Shape:
        student ``(N, student_channels, h, w)``; teacher ``(N, teacher_channels, H, W)``;
        results ``()``.

    Raises:
        ValueError: a hyperparameter is out of range, or the maps are not of the same images
            or do not have the declared widths.
        RuntimeError: the autoencoder has not finished training.

    Source:
        He et al., "Knowledge Adaptation for Efficient Semantic Segmentation", CVPR 2019,
        Eqs. 1 to 4, Alg. 1 and appendix 6. There is no public code.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        adapt_weight: float = 50.0,
        affinity_weight: float = 1.0,
        p: float = 2.0,
        q: float = 2.0,
        adapter_layers: int = 3,
    ) -> None:
        super().__init__()
        check_orders("KnowledgeAdaptation", p=p, q=q)
        check_positive("KnowledgeAdaptation", adapter_layers=adapter_layers)
        self.channels = (student_channels, teacher_channels)
        self.adapt_weight = adapt_weight
        self.affinity_weight = affinity_weight
        self.p = p
        self.q = q
        self.adapter = _adapter(student_channels, teacher_channels, adapter_layers)
        self.affinity_adapter = _adapter(student_channels, teacher_channels, adapter_layers)
        self.autoencoder = Autoencoder(teacher_channels).requires_grad_(False)
        self.prepared = StepCount()
        self.planned = StepCount()

    def prepare(
        self,
        features: Callable[[int], Tensor],
        steps: int,
        *,
        valid: Callable[[int], Tensor] | None = None,
        progress: Callable[[int, Tensor], None] | None = None,
        learning_rate: float = 0.1,
        weight_decay: float = 1e-4,
    ) -> None:
        """Train the autoencoder on the teacher's features, or resume where it left off.

        Plain SGD, since the paper gives a learning rate and a weight decay but no momentum: so the
        weights are its only state. After each step training can be resumed from the module's
        ``state_dict``, and an interrupted and resumed run ends bit-identical.

        Args:
            features: function from a step, counted from 0, to the teacher's map of its batch; it
                must return the same map for the same step.
            steps: number of training steps; one epoch in the paper.
            valid: function from the same step to True where a position of its batch is not padding,
                bool ``(N, H', W')`` of any size; None counts every position.
            progress: called after each step with the number of steps done and the loss; it
                may save the ``state_dict``, and may raise to interrupt.
            learning_rate: learning rate of SGD; 0.1 in the paper.
            weight_decay: weight decay of SGD; 1e-4 in the paper.

        Raises:
            ValueError: ``steps`` is below 1, or the features have a different width.
        """
        check_positive("KnowledgeAdaptation", steps=steps)

        def loss(step: int) -> Tensor:
            return self._reconstruction(features(step), None if valid is None else valid(step))

        self.autoencoder.train()
        try:
            run_stage(
                loss,
                list(self.autoencoder.parameters()),
                steps,
                prepared=self.prepared,
                planned=self.planned,
                progress=progress,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
            )
        finally:
            self.autoencoder.eval()

    def train(self, mode: bool = True) -> "KnowledgeAdaptation":
        """Switch the adapters only; the autoencoder trains only in :meth:`prepare`."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def forward(
        self, student: Tensor, teacher: Tensor, batch: Batch | None = None
    ) -> dict[str, Tensor]:
        check_batches("KnowledgeAdaptation", student=student, teacher=teacher)
        check_widths("KnowledgeAdaptation", self.channels, student=student, teacher=teacher)
        check_finished("KnowledgeAdaptation", "a trained autoencoder", self.prepared, self.planned)
        with torch.no_grad():
            encoded = self.autoencoder.encode(teacher, valid_at(batch, teacher))
        valid = valid_at(batch, student)
        student = student.to(next(self.adapter.parameters()).dtype)
        adapted, related = (
            through(adapter, student, valid) for adapter in (self.adapter, self.affinity_adapter)
        )
        encoded = resize_like(encoded, adapted)
        adapt = adaptation(adapted, encoded, p=self.p, q=self.q, valid=valid)
        return {
            "adapt": self.adapt_weight * adapt,
            "affinity": self.affinity_weight * affinity(related, encoded, valid=valid),
        }

    def _reconstruction(self, features: Tensor, valid: Tensor | None) -> Tensor:
        if features.ndim != 4 or features.shape[1] != self.channels[1]:
            raise ValueError(
                f"KnowledgeAdaptation: expected features (N, {self.channels[1]}, H, W), got "
                f"{tuple(features.shape)}; build the loss for this teacher"
            )
        (features,) = full_precision(features.detach())
        code = self.autoencoder.encode(features, valid)
        decoded = self.autoencoder.decode(code, features.shape[2:], valid)
        if valid is not None:
            valid = resize_valid(valid, features.shape[2:])
        return autoencoder_loss(features, code, decoded, valid=valid)


def _adapter(student: int, teacher: int, layers: int) -> nn.Sequential:
    widths = [student] + [teacher] * layers
    return nn.Sequential(*(conv_bn_relu(widths[i], widths[i + 1]) for i in range(layers)))
