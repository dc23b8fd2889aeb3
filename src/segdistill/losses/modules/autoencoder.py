"""The autoencoder of knowledge adaptation: a teacher's features in a denser form."""

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from segdistill.losses.maths.positions import leave_out, resize_valid
from segdistill.losses.maths.precision import full_precision, without_autocast


class Autoencoder(nn.Module):
    """Encode feature maps at half their height and width, and decode them back.

    It has three 3×3 convolutions and three transposed ones, as wide as the features, each with
    batch norm and ReLU; the first and the last have stride 2.

    Args:
        channels: width of the features.

    Shape:
        features ``(N, C, H, W)``; code ``(N, C, ⌈H/2⌉, ⌈W/2⌉)``.

    Source:
        He et al., "Knowledge Adaptation for Efficient Semantic Segmentation", CVPR 2019,
        appendix 6.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(conv_bn_relu(channels, channels, stride=stride) for stride in (2, 1, 1))
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(channels, channels, 3, stride=stride, padding=1, bias=False)
            for stride in (1, 1, 2)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(3))

    def encode(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the code of features.

        Args:
            features: features of the teacher.
            valid: True where a position counts; the others are 0 before every convolution.

        Shape:
            features ``(N, C, H, W)``; valid ``(N, H, W)``; result ``(N, C, ⌈H/2⌉, ⌈W/2⌉)``.
        """
        return through(self.encoder, features.to(next(self.encoder.parameters()).dtype), valid)

    def decode(self, code: Tensor, size: tuple[int, ...], valid: Tensor | None = None) -> Tensor:
        """Return features of the given height and width, half of which is the code's size.

        Args:
            code: see :meth:`encode`.
            size: height and width of the features.
            valid: True where a position counts; the others are 0 before every convolution.
        """
        sizes = (code.shape[2:], code.shape[2:], size)
        for layer, norm, output in zip(self.decoder, self.norms, sizes, strict=True):
            if valid is not None:
                code = leave_out(code, resize_valid(valid, code.shape[2:]))
            code = norm(layer(code, output_size=list(output))).relu()
        return code


def through(layers: nn.Sequential, maps: Tensor, valid: Tensor | None) -> Tensor:
    """Apply convolutions that treat positions that do not count as outside the map."""
    for layer in layers:
        if valid is not None:
            maps = leave_out(maps, resize_valid(valid, maps.shape[2:]))
        maps = layer(maps)
    return maps


def conv_bn_relu(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """Return a 3×3 convolution with batch norm and ReLU."""
    block: nn.Sequential = Conv2dNormActivation(inputs, outputs, kernel_size=3, stride=stride)
    return block


@without_autocast
def autoencoder_loss(
    features: Tensor,
    code: Tensor,
    decoded: Tensor,
    *,
    sparsity: float = 1e-7,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Return how well features were reconstructed from a sparse code.

    .. math:: L = \frac{1}{N P} \big( \|\phi - D(E\phi)\|_2^2 + \alpha \|E\phi\|_1 \big)

    It is a mean over the :math:`P` positions of :math:`N` images and a sum over channels: with a
    mean over channels too, the published learning rate of 0.1 makes hardly any progress within an
    epoch.

    Args:
        features: :math:`\phi`, the features of the teacher.
        code: :math:`E\phi`.
        decoded: :math:`D(E\phi)`.
        sparsity: :math:`\alpha`.
        valid: True where a position counts, False where augmentation padded; None counts every
            position.

    Shape:
        features, decoded ``(N, C, H, W)``; code ``(N, C', h, w)``; valid ``(N, H, W)``; result
        ``()``.

    Returns:
        The loss in squared units of the features, at least 0.

    Source:
        He et al., CVPR 2019, Eq. 1, divided by the number of positions.
    """
    features, code, decoded = full_precision(features, code, decoded)
    difference = leave_out(features - decoded, valid)
    if valid is not None:
        code = leave_out(code, resize_valid(valid, code.shape[2:]))
    error = difference.square().sum() + sparsity * code.abs().sum()
    positions = features[:, 0].numel() if valid is None else valid.sum().clamp_min(1)
    return error / positions
