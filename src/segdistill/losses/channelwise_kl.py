"""Channel-wise distillation (CWD): match where each channel looks, not how loud it is."""

from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import check_positive, check_same_maps
from segdistill.losses.maths.blocks import sum_over_blocks
from segdistill.losses.maths.precision import without_autocast


@without_autocast
def channelwise_kl(student: Tensor, teacher: Tensor, *, temperature: float = 4.0) -> Tensor:
    r"""Compare the spatial distributions of each channel of two activation maps.

    Each channel becomes a distribution over the positions :math:`i` of the map,

    .. math:: \phi(x)_i = \frac{\exp(x_i / T)}{\sum_j \exp(x_j / T)},

    and the loss is the mean divergence over images and channels,

    .. math::
        L = \frac{T^2}{N C} \sum_{n, c} \sum_i
            \phi(y_{n, c})_i \log \frac{\phi(y_{n, c})_i}{\phi(x_{n, c})_i}.

    It is 0 when every channel looks at the same places, and does not change when a
    constant is added to a channel. No gradient reaches the teacher. Half-precision
    maps are compared in float32.

    Use it on logits where thin or rare classes matter: every channel weighs the same, however
    few pixels it has. It holds two maps beside its inputs. The gradient has no gradient of
    its own.

    Args:
        student: logits or features of the student, :math:`x`, unbounded.
        teacher: those of the teacher, :math:`y`, as many channels and the same size.
        temperature: :math:`T`, no unit; above 1 it flattens the distributions. 4 is the
            authors' choice for logits on Cityscapes.

    Shape:
        student, teacher ``(N, C, H, W)``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, or the
            temperature is not a finite number above 0.

    Source:
        Shu, Liu, Gao, Yan and Shen, "Channel-wise Knowledge Distillation for Dense
        Prediction", ICCV 2021, arXiv:2011.13256. Scale and temperature as in the authors'
        irfanICMLL/TorchDistiller (``SemSeg-distill/utils/criterion.py``, ``README.md``);
        weight 3 on logits, 50 on features. CIRKD's copy divides by the student's channels
        before projection instead.
    """
    check_same_maps("channelwise_kl", student=student, teacher=teacher)
    check_positive("channelwise_kl", temperature=temperature)

    def divergence(student: Tensor, teacher: Tensor) -> Tensor:
        # log_softmax, never softmax().log(): a position far below the peak is -100, not -inf.
        log_s = F.log_softmax(student.flatten(start_dim=2) / temperature, dim=-1)
        log_t = F.log_softmax(teacher.flatten(start_dim=2) / temperature, dim=-1)
        return F.kl_div(log_s, log_t, reduction="sum", log_target=True)

    total = sum_over_blocks(divergence, student, teacher, dim=1)
    return total * temperature**2 / (student.shape[0] * student.shape[1])


class ChannelwiseKL(nn.Module):
    """Module form of :func:`channelwise_kl`; it has no parameters to learn.

    Args:
        temperature: see :func:`channelwise_kl`.
    """

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        check_positive("ChannelwiseKL", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return channelwise_kl(student, teacher, temperature=self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
