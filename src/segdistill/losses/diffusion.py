"""Diffusion distillation (DiffKD): denoise the student's map before it is compared."""

import math
from collections.abc import Callable
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor, nn

from segdistill.checks import check_maps, check_positive
from segdistill.losses.feature_mse import feature_mse
from segdistill.losses.maths.gather import draw_normal, draw_uniform
from segdistill.losses.maths.part import ends_step
from segdistill.losses.maths.positions import leave_out, valid_at
from segdistill.losses.maths.precision import full_precision
from segdistill.losses.modules.denoiser import Denoiser, NoiseMatcher
from segdistill.losses.modules.projector import check_widths
from segdistill.losses.modules.steps import StepCount
from segdistill.types import Batch

TIMES = 1000  # of the diffusion; hunto/DiffKD
KEPT = list(accumulate((1 - 1e-4 - k * (0.02 - 1e-4) / (TIMES - 1) for k in range(TIMES)), mul))
r"""Share :math:`\bar\alpha_t` of a map's variance that is not yet noise at a time; hunto/DiffKD."""


def denoise(predict: Callable[[Tensor, int], Tensor], maps: Tensor, *, steps: int = 5) -> Tensor:
    r"""Remove the noise from a map in a few steps of the deterministic reverse diffusion (DDIM).

    The map is taken to be of the middle of the diffusion. For each of the times :math:`t` in equal
    steps from there to 0, with :math:`u` the next of them, and :math:`\bar\alpha_u = 1` after the
    last,

    .. math::
        \hat x = \frac{x_t - \sqrt{1 - \bar\alpha_t} \, \epsilon(x_t, t)}{\sqrt{\bar\alpha_t}},
        \qquad x_u = \sqrt{\bar\alpha_u} \, \hat x
            + \sqrt{1 - \bar\alpha_u} \, \epsilon(x_t, t).

    Args:
        predict: :math:`\epsilon`, function from a map and a time to the noise in the map.
        maps: the map with noise.
        steps: number of steps, at most half of :data:`TIMES`.

    Returns:
        The map without noise, in float32 or wider.

    Raises:
        ValueError: the steps are below 1 or above half of :data:`TIMES`.

    Source:
        Song et al., "Denoising Diffusion Implicit Models", ICLR 2021, Eq. 12 with
        :math:`\sigma = 0`. Starting in the middle, and 5 steps, are hunto/DiffKD's.
    """
    check_positive("denoise", steps=steps)
    if steps > TIMES // 2:
        raise ValueError(f"denoise: expected steps <= {TIMES // 2}, got {steps}")
    stride = TIMES // (2 * steps)
    (maps,) = full_precision(maps)
    for time in range((steps - 1) * stride, -1, -stride):
        (noise,) = full_precision(predict(maps, time))
        kept, next_kept = KEPT[time], KEPT[time - stride] if time else 1.0
        clean = (maps - math.sqrt(1 - kept) * noise) / math.sqrt(kept)
        maps = math.sqrt(next_kept) * clean + math.sqrt(1 - next_kept) * noise
    return maps


class Diffusion(nn.Module):
    r"""Compare the student's map, denoised by a diffusion model, with the teacher's encoded map.

    A linear autoencoder E, D (1×1 convolutions, batch norm after E) halves the teacher's width. A
    small network :math:`\epsilon` learns to tell the noise in :math:`E(y)`; the student's map, A(x)
    by a 1×1 convolution, counts as a noisy :math:`E(y)` and is denoised by it. To bring its noise
    to that of the middle of the diffusion, a network G tells which share of each image's map to
    keep beside noise :math:`\eta` from a normal distribution:

    .. math::
        z = G \cdot A(x) + (1 - G) \cdot \eta, \qquad
        L_\text{match} = \frac{1}{C |V|} \sum \big(P(\text{denoise}(z)) - E(y)\big)^2.

    With :math:`t` and :math:`\nu` drawn for each image, the two other parts are

    .. math::
        L_\text{noise} = \frac{1}{C |V|} \sum \big(\epsilon(\sqrt{\bar\alpha_t} E(y)
            + \sqrt{1 - \bar\alpha_t} \nu, t) - \nu\big)^2, \qquad
        L_\text{code} = \frac{1}{C' |V|} \sum (D(E(y)) - y)^2.

    Only ``code`` trains the autoencoder. The sums run over channels and the valid positions V of
    all images; each part is multiplied by its weight.

    All layers are trained with the student but are not part of it; they follow autocast as a
    network does, while comparisons and the steps of :func:`denoise` are in float32. Draws depend
    only on the seed, the step and the image's place in the batch. Positions that augmentation
    padded are outside the map for the convolutions; batch norm sees what the layers before it make
    of them. No gradient reaches the teacher. It holds the maps of a small network for each step of
    :func:`denoise`, which is inherent to the method.

    Args:
        student_channels: channels of the student's map.
        teacher_channels: channels of the teacher's map.
        match_weight: weight of the part ``match``.
        noise_weight: weight of the part ``noise``.
        code_weight: weight of the part ``code``.
        reduction: factor by which the code is narrower than the teacher's map.
        steps: see :func:`denoise`.
        seed: seed of the noise and the times.

    Shape:
        student ``(N, student_channels, H, W)``; teacher ``(N, teacher_channels, H, W)``;
        results ``()``.

    Returns:
        The parts, each at least 0: ``match`` in squared units of the code, ``noise`` unitless,
        ``code`` in squared units of the features.

    Raises:
        ValueError: the maps differ in size, a width is not the one declared, or the reduction or
            the steps are out of range.

    Source:
        Huang et al., "Knowledge Diffusion for Distillation", NeurIPS 2023, arXiv:2305.15712, read
        only in hunto/DiffKD (Apache-2.0), which has no segmentation: all weights 1, 5 steps, the
        form of every layer, the keeping of :math:`G \cdot A(x)` in place of the diffusion's square
        roots, and a code of half the width (1024 of 2048 in its classification). Which map of a
        segmenter the paper takes, and with which weight, is not known.
    """

    kept: Tensor

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        match_weight: float = 1.0,
        noise_weight: float = 1.0,
        code_weight: float = 1.0,
        reduction: int = 2,
        steps: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("Diffusion", reduction=reduction, steps=steps)
        self.channels = (student_channels, teacher_channels)
        self.match_weight = match_weight
        self.noise_weight = noise_weight
        self.code_weight = code_weight
        self.denoising_steps = steps
        self.seed = seed
        self.steps = StepCount()
        width = max(teacher_channels // reduction, 1)
        self.align = nn.Conv2d(student_channels, width, kernel_size=1)
        self.encode = nn.Sequential(
            nn.Conv2d(teacher_channels, width, kernel_size=1), nn.BatchNorm2d(width)
        )
        self.decode = nn.Conv2d(width, teacher_channels, kernel_size=1)
        self.denoiser = Denoiser(width, TIMES)
        self.matcher = NoiseMatcher(width)
        self.project = nn.Conv2d(width, width, kernel_size=1)
        self.register_buffer("kept", torch.tensor(KEPT, dtype=torch.float64), persistent=False)

    def forward(
        self, student: Tensor, teacher: Tensor, batch: Batch | None = None
    ) -> dict[str, Tensor]:
        check_maps("Diffusion", student=student, teacher=teacher)
        check_widths("Diffusion", self.channels, student=student, teacher=teacher)
        valid = valid_at(batch, student)
        dtype = self.align.weight.dtype
        (given,) = full_precision(leave_out(teacher.detach(), valid).to(dtype))
        code = self.encode(given)
        target = code.detach()
        refined = self.project(self._denoised(leave_out(student, valid).to(dtype), valid))
        parts = {
            "match": self.match_weight * feature_mse(refined, target, valid=valid),
            "noise": self.noise_weight * self._noise(target, valid),
            "code": self.code_weight * feature_mse(self.decode(code), given, valid=valid),
        }
        if self.training and ends_step():
            self.steps.value += 1
        return parts

    def extra_repr(self) -> str:
        return f"steps={self.denoising_steps}"

    def _denoised(self, student: Tensor, valid: Tensor | None) -> Tensor:
        """Return the student's map in the width of the code, mixed with noise and denoised."""
        (maps,) = full_precision(self.align(student))
        (share,) = full_precision(self.matcher(maps, valid))
        drawn = self._draw(draw_normal, "start", maps.shape).to(maps.dtype)

        def predict(maps: Tensor, time: int) -> Tensor:
            at = torch.full((1,), time, device=maps.device)
            noise: Tensor = self.denoiser(maps, at, valid)
            return noise

        return denoise(predict, share * maps + (1 - share) * drawn, steps=self.denoising_steps)

    def _noise(self, target: Tensor, valid: Tensor | None) -> Tensor:
        """Return how badly the noise in the teacher's code is told, at a time drawn per image."""
        (target,) = full_precision(target)
        times = (self._draw(draw_uniform, "time", target.shape[:1]) * TIMES).long()
        kept = self.kept[times][:, None, None, None].to(target.dtype)
        drawn = self._draw(draw_normal, "noise", target.shape).to(target.dtype)
        noisy = kept.sqrt() * target + (1 - kept).sqrt() * drawn
        return feature_mse(self.denoiser(noisy, times, valid), drawn, valid=valid)

    def _draw(self, draw: Callable[..., Tensor], purpose: str, shape: tuple[int, ...]) -> Tensor:
        return draw(
            self.seed,
            purpose,
            self.steps.value,
            shape=tuple(shape),
            device=self.align.weight.device,
        )
