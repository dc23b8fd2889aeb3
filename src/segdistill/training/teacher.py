"""Checks that a teacher has learnt what it is to teach."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn

from segdistill.config import NetworkConfig
from segdistill.config.ensembles import networks_of
from segdistill.data.carving import Subset
from segdistill.errors import ConfigError
from segdistill.scoring.evaluator import Precision, evaluate
from segdistill.scoring.scores import miou
from segdistill.types import SegDataset

_OF_CLASSES = {"logits", "head"}


def check_knows(section: NetworkConfig, taps: Collection[str], where: str = "teacher") -> None:
    """Refuse a teacher without the weights for its taps, unless that is the control.

    Weights come from ``weights``, a Hugging Face folder or a file; your own code may load what
    it likes. A pretrained backbone alone may teach the backbone's maps, but neither logits nor
    the maps of a randomly initialised head.

    Args:
        section: the teacher's section.
        taps: the taps at which it is to teach.
        where: path of the section, for messages.

    Raises:
        ConfigError: there are no weights for a tap, or a teacher that is meant to be untrained
            has weights.
    """
    if section.untrained:
        if section.weights is not None:
            raise ConfigError(
                f"{where}.untrained: expected no weights, got {section.weights}; leave one of "
                "them out"
            )
        return
    if section.weights is not None or _brings_weights(section):
        return
    if _has_backbone(section):
        ignorant = sorted(_OF_CLASSES & set(taps))
        if not ignorant:
            return
        got = f"a randomly initialised head and a loss on its {' and '.join(ignorant)}"
    else:
        got = "a randomly initialised network"
    raise ConfigError(
        f"{where}: expected weights, got {got}; set {where}.weights=FILE (segdistill train writes "
        f"one), or {where}.untrained=true for a control"
    )


def knows_classes(section: NetworkConfig) -> bool:
    """Return whether a teacher that passed :func:`check_knows` predicts the dataset's classes."""
    return all(
        not network.untrained and (network.weights is not None or _brings_weights(network))
        for network in networks_of(section).values()
    )


@dataclass(frozen=True)
class Knowledge:
    """The score of a teacher on a few images, and that of guessing.

    Attributes:
        images: number of images scored.
        miou: the teacher's mIoU, in [0, 1].
        chance: the better of two guesses: predicting the most frequent class everywhere, scored
            on the same images, and 1.5 times the expected mIoU of drawing classes uniformly when
            all are equally frequent, 1.5 / (2 K - 1).
    """

    images: int
    miou: float
    chance: float

    @property
    def near_chance(self) -> bool:
        """Whether the teacher is no better than guessing."""
        return self.miou <= self.chance


def examine(
    network: nn.Module,
    dataset: SegDataset,
    *,
    device: torch.device,
    precision: Precision,
    images: int = 8,
) -> Knowledge:
    """Score a teacher on a few images, spread evenly over a dataset."""
    count = min(images, len(dataset))
    few = Subset(dataset, [(2 * i + 1) * len(dataset) // (2 * count) for i in range(count)])
    counts = evaluate(network, few, device=device, precision=precision).counts.cpu()
    guess = torch.zeros_like(counts)
    truth = counts.sum(dim=1)
    guess[:, int(truth.argmax())] = truth
    even = 1.5 / (2 * len(dataset.classes) - 1)
    return Knowledge(count, miou(counts), max(miou(guess), even))


def _brings_weights(section: NetworkConfig) -> bool:
    """Return whether the source of a network provides weights for all of it."""
    settings = section.settings()
    source = section.network.partition(":")[0]
    if source == "hf":
        return bool(settings["pretrained"]) and not settings["new_head"]
    if source == "torchvision":
        return bool((settings["args"] or {}).get("weights"))
    return source in ("file", "import")


def _has_backbone(section: NetworkConfig) -> bool:
    """Return whether a network's backbone starts from weights."""
    settings = section.settings()
    args = settings.get("args") or {}
    named = map(args.get, ("encoder_weights", "weights_backbone"))
    return any([section.backbone_weights, settings.get("pretrained"), *named])
