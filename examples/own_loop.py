"""Use one loss in somebody else's training loop: a function of two maps, nothing more.

python examples/own_loop.py
"""

from segdistill.data import build_dataset  # isort: skip  (before torch: its threads then sleep)
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from segdistill.losses import channelwise_kl, resize_like

CLASSES = 11


def load_scenes(count: int) -> DataLoader:
    scenes = build_dataset({"dataset": "scenes", "size": (64, 96)}, split="train")
    pairs = [
        (torch.from_numpy(sample.image).permute(2, 0, 1) / 255, torch.from_numpy(sample.mask))
        for sample in map(scenes.__getitem__, range(count))
    ]
    return DataLoader(pairs, batch_size=8, shuffle=True)


def make_network(width: int, stride: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before in (3, width, width):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(nn.AvgPool2d(stride), *layers, nn.Conv2d(width, CLASSES, 1))


def fit(network: nn.Module, loader: DataLoader, teacher: nn.Module | None = None) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(8):
        for images, labels in loader:
            logits = network(images)
            wide = F.interpolate(logits, labels.shape[1:], mode="bilinear")
            loss = F.cross_entropy(wide, labels.long(), ignore_index=255)
            distillation = torch.zeros(())
            if teacher is not None:
                distillation = distil(logits, teacher, images)
            optimizer.zero_grad()
            (loss + 3.0 * distillation).backward()
            optimizer.step()
        print(f"epoch {epoch}: task loss {loss:.3f}, distillation loss {distillation:.4f}")


def distil(logits: Tensor, teacher: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        taught = teacher(images)
    return channelwise_kl(logits, resize_like(taught, logits), temperature=4.0)


if __name__ == "__main__":
    torch.manual_seed(0)
    scenes, teacher = load_scenes(32), make_network(width=48, stride=2)
    fit(teacher, scenes)
    fit(make_network(width=12, stride=4), scenes, teacher.eval())
