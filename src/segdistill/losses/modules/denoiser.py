"""The small networks of diffusion distillation: one predicts noise, one tells how much there is."""

from torch import Tensor, nn

from segdistill.losses.maths.pooling import mean_grid
from segdistill.losses.maths.positions import leave_out


class Bottleneck(nn.Module):
    """A residual block: 1×1 convolution to fewer channels, 3×3, and 1×1 back, with batch norm.

    Positions that do not count are outside the map for the 3×3 convolution.

    Args:
        channels: width of the map.
        reduction: factor by which the inner width is smaller.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.enter = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner), nn.ReLU())
        self.leave = nn.Sequential(
            nn.Conv2d(inner, inner, 3, padding=1),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor, valid: Tensor | None) -> Tensor:
        changed: Tensor = self.leave(leave_out(self.enter(maps), valid))
        return maps + changed


class Denoiser(nn.Module):
    """Predict the noise in a map at a time of the diffusion.

    Two :class:`Bottleneck` blocks and a 1×1 convolution with batch norm, on the map plus a learned
    vector for the time.

    Args:
        channels: width of the map.
        times: number of times.

    Shape:
        maps ``(N, C, H, W)``; time ``(N,)`` or ``(1,)``, int64; valid ``(N, H, W)``; result as
        maps.

    Source:
        Huang et al., NeurIPS 2023, and hunto/DiffKD (Apache-2.0): reduction 4.
    """

    def __init__(self, channels: int, times: int) -> None:
        super().__init__()
        self.time = nn.Embedding(times, channels)
        self.blocks = nn.ModuleList(Bottleneck(channels, reduction=4) for _ in range(2))
        self.predict = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=1), nn.BatchNorm2d(channels)
        )

    def forward(self, maps: Tensor, time: Tensor, valid: Tensor | None) -> Tensor:
        maps = leave_out(maps + self.time(time)[:, :, None, None], valid)
        for block in self.blocks:
            maps = leave_out(block(maps, valid), valid)
        noise: Tensor = self.predict(maps)
        return noise


class NoiseMatcher(nn.Module):
    """Tell what share of each image's map to keep beside noise.

    A :class:`Bottleneck`, the mean over the positions that count, and a linear layer.

    Args:
        channels: width of the map.

    Shape:
        maps ``(N, C, H, W)``; valid ``(N, H, W)``; result ``(N, 1, 1, 1)``, from 0 to 1.

    Source:
        Huang et al., NeurIPS 2023, and hunto/DiffKD (Apache-2.0): reduction 8, and a softmax of two
        outputs, of which the first is taken.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = Bottleneck(channels, reduction=8)
        self.share = nn.Linear(channels, 2)

    def forward(self, maps: Tensor, valid: Tensor | None) -> Tensor:
        mean = mean_grid(self.block(maps, valid), (1, 1), valid).flatten(start_dim=1)
        shares: Tensor = self.share(mean).softmax(dim=1)
        return shares[:, :1, None, None]
