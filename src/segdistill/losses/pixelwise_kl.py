"""Pixel-wise distillation: match the class distribution of every pixel."""

from torch import Tensor, nn

from segdistill.checks import check_classes, check_positive, check_same_maps
from segdistill.losses.maths.positions import check_valid, valid_at
from segdistill.losses.maths.precision import without_autocast
from segdistill.losses.upsampled_kl import upsampled_kl
from segdistill.types import Batch


@without_autocast
def pixelwise_kl(
    student: Tensor, teacher: Tensor, *, temperature: float = 1.0, valid: Tensor | None = None
) -> Tensor:
    r"""Compare the class distributions of each pixel of two maps of logits.

    With :math:`\sigma` the softmax over classes and :math:`V` the valid positions of all
    images, the loss is their mean divergence,

    .. math::
        L = \frac{T^2}{|V|} \sum_{p \in V} \sum_k
            \sigma(y_p / T)_k \log \frac{\sigma(y_p / T)_k}{\sigma(x_p / T)_k}.

    It is 0 for equal maps, and does not change when a constant is added to the logits of a
    pixel. No gradient reaches the teacher. Half-precision maps are compared in float32.

    Use it first: when tuned with the same care, few methods improve on it (Niemann et al. 2023,
    Table 6). It needs memory for two maps beyond its inputs. It is not twice differentiable.

    Args:
        student: logits of the student, :math:`x`.
        teacher: logits of the teacher, :math:`y`, of the same shape.
        temperature: :math:`T`, unitless; above 1 it flattens the distributions.
        valid: True where a position counts, False where augmentation padded; None counts
            every position. If no position is valid, the loss is 0.

    Shape:
        student, teacher ``(N, C, H, W)``; valid ``(N, H, W)``; result ``()``.

    Returns:
        The loss in nats times :math:`T^2`, at least 0 up to rounding.

    Raises:
        ValueError: the maps differ in shape or are not ``(N, C, H, W)``, ``valid`` has
            another size, or the temperature is not a finite number above 0.
        TypeError: ``valid`` is not bool.

    Source:
        Hinton, Vinyals and Dean 2015, arXiv:1503.02531. Liu et al., "Structured Knowledge
        Distillation for Semantic Segmentation", CVPR 2019, Eq. 1 and Yang et al., CVPR 2022,
        Eq. 2 print KL(student ‖ teacher); their code, as here, computes KL(teacher ‖ student).
        The SKD code sums over the batch, the CWD code divides by the classes as well.
    """
    check_same_maps("pixelwise_kl", student=student, teacher=teacher)
    check_classes("pixelwise_kl", student)
    check_positive("pixelwise_kl", temperature=temperature)
    check_valid("pixelwise_kl", valid, student)

    size = (student.shape[2], student.shape[3])
    return upsampled_kl(student, teacher, size=size, temperature=temperature, valid=valid)


class PixelwiseKL(nn.Module):
    """Module form of :func:`pixelwise_kl`; it has no learnable parameters.

    Given a batch, it leaves out the positions that augmentation padded: those whose nearest
    pixel of ``batch.valid`` is False.

    Args:
        temperature: see :func:`pixelwise_kl`.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive("PixelwiseKL", temperature=temperature)
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch | None = None) -> Tensor:
        valid = valid_at(batch, student)
        return pixelwise_kl(student, teacher, temperature=self.temperature, valid=valid)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
