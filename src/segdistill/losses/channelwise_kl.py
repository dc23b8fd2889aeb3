"""Channel-wise distillation (CWD): match where each channel looks, not how loud it is."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.positions import check_valid, count_images, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.types import Batch
from segdistill.upsampling import at_least, in_the_limit


@without_autocast
def channelwise_kl(
    student: Tensor, teacher: Tensor, *, temperature: float = 4.0, valid: Tensor | None = None
) -> Tensor:
    r"""Compare the spatial distributions of each channel of two activation maps.

    Each channel becomes a distribution over the positions :math:`i` of the map,

    .. math:: \phi(x)_i = \frac{\exp(x_i / T)}{\sum_j \exp(x_j / T)},

    and the loss is the mean divergence over images and channels,

    .. math::
        L = \frac{T^2}{N C} \sum_{n, c} \sum_i
            \phi(y_{n, c})_i \log \frac{\phi(y_{n, c})_i}{\phi(x_{n, c})_i}.

    It is 0 when every channel looks at the same places, and does not change when a constant is
    added to a channel; a channel that is -inf everywhere is treated as the limit of a constant one.
    No gradient reaches the teacher. Half-precision maps are compared in float32.

    Use it on logits when thin or rare classes matter: every channel weighs the same, however few
    pixels it has. It needs memory for two maps beyond its inputs. It is not twice differentiable.

    Args:
        student: logits or features of the student, :math:`x`, unbounded.
        teacher: those of the teacher, :math:`y`, with the same number of channels and the same
            size.
        temperature: :math:`T`, unitless; above 1 it flattens the distributions. 4 is the
            authors' choice for logits on Cityscapes.
        valid: True where a position counts, False where augmentation padded; None counts every
            position. Distributions are over the valid positions; an image without any is left
            out of the mean.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has
            another size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        Shu, Liu, Gao, Yan and Shen, "Channel-wise Knowledge Distillation for Dense
        Prediction", ICCV 2021, arXiv:2011.13256. Scale and temperature as in the authors'
        irfanICMLL/TorchDistiller (``SemSeg-distill/utils/criterion.py``, ``README.md``);
        weight 3 on logits, 50 on features. CIRKD's copy divides by the student's channels
        before projection instead.
    """
    check_same_maps("channelwise_kl", student=student, teacher=teacher)
    check_positive("channelwise_kl", temperature=temperature)
    check_valid("channelwise_kl", valid, student)
    return channelwise_kl_outside(student, teacher, None, temperature=temperature, valid=valid)


def channelwise_kl_outside(
    student: Tensor,
    teacher: Tensor,
    shares: Tensor | None,
    *,
    temperature: float,
    valid: Tensor | None,
) -> Tensor:
    """Return :func:`channelwise_kl` of maps times 1 minus shares, which are never held as a whole.

    Where that factor is 0, a logit of -inf becomes 0 like any other.
    """
    padded = None if valid is None else ~valid.flatten(start_dim=1)[:, None]

    def log_distribution(maps: Tensor, *shares: Tensor) -> Tensor:
        if shares:
            maps = at_least(maps) * (1 - shares[0])
        scores = at_least(maps.flatten(start_dim=2) / temperature)
        if padded is not None:
            # Far below any other value but not -inf, which gives nan for an image that is all
            # padding.
            scores = scores.masked_fill(padded, torch.finfo(scores.dtype).min)
        # log_softmax, never softmax().log(): a position far below the peak is -100, not -inf.
        logs = F.log_softmax(scores, dim=-1)
        # Equal on both sides, where the divergence is 0.
        return logs if padded is None else logs.masked_fill(padded, 0.0)

    def divergence(student: Tensor, teacher: Tensor, *shares: Tensor) -> Tensor:
        log_s, log_t = (log_distribution(x, *shares) for x in (student, teacher))
        return F.kl_div(log_s, log_t, reduction="sum", log_target=True)

    others = () if shares is None else (shares,)
    total = in_the_limit(sum_over_blocks(divergence, student, teacher, *others, dim=1))
    return total * temperature**2 / (count_images(student, valid) * student.shape[1])


class ChannelwiseKL(nn.Module):
    """Module form of :func:`channelwise_kl`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded.

    Args:
        temperature: see :func:`channelwise_kl`.
    """

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        check_positive("ChannelwiseKL", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        valid = valid_at(batch, student)
        return channelwise_kl(student, teacher, temperature=self.temperature, valid=valid)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
