"""Several teachers as one network: averaged probabilities, and the maps of each by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.config import NetworkConfig
from segdistill.config.checking import check_named
from segdistill.models.build import build_network
from segdistill.models.taps import tap_paths
from segdistill.types import SegOutput
from segdistill.upsampling import at_least, snap_excluded


class Ensemble(nn.Module):
    r"""Networks of the same classes as one, which answers with the mean of their probabilities.

    .. math:: z = \log \frac{1}{M} \sum_{m = 1}^{M} \operatorname{softmax}(z_m)

    Coarser logits are resized to the finest before. A network without classes, which gives inner
    maps alone, has no part in the mean; where one has classes, its logits are passed on as they
    are.

    Args:
        members: the networks.

    Attributes:
        taps: ``logits``, those of each member such as ``members.1.backbone``, and the first
            member's by their own names.

    Shape:
        images ``(N, 3, H, W)``; logits ``(N, K, h, w)`` of the finest member, and of 0 classes
        where no member has any.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        own = [
            {name: f"members.{place}.{path}" for name, path in tap_paths(member).items()}
            for place, member in enumerate(members)
        ]
        self.taps = dict(own[0])
        for place, paths in enumerate(own):
            self.taps |= {f"members.{place}.{name}": path for name, path in paths.items()}
        if any("logits" in paths for paths in own):
            self.taps["logits"] = "logits"
        self.logits = nn.Identity()

    def forward(self, images: Tensor) -> SegOutput:
        outputs = [member(images).logits for member in self.members]
        voting = [logits for logits in outputs if logits.shape[1]]
        if len(voting) < 2:
            return SegOutput(self.logits(voting[0]) if voting else outputs[0])
        finest = max((logits.shape[2:] for logits in voting), key=math.prod)
        votes = [_resized(logits.float(), finest).log_softmax(dim=1) for logits in voting]
        mean = torch.stack(votes).logsumexp(dim=0) - math.log(len(votes))
        return SegOutput(self.logits(mean))


def build_ensemble(
    members: tuple[dict[str, Any], ...],
    classes: int,
    class_names: Sequence[str],
    tell: Callable[[str], object] | None,
) -> Ensemble:
    """Build the members of an ensemble, each from its own section, and join them.

    Args:
        members: sections of networks.
        classes: number of classes of every member.
        class_names: of the data, into whose order each member's are put by name.
        tell: called with each sentence on a member's weights.
    """
    networks = []
    for place, member in enumerate(members):

        def say(sentence: str, place: int = place) -> None:
            if tell is not None:
                tell(f"members.{place}: {sentence}")

        section = check_named(NetworkConfig, member, f"members.{place}")
        networks.append(build_network(section, classes=classes, class_names=class_names, tell=say))
    return Ensemble(networks)


def _resized(logits: Tensor, size: torch.Size) -> Tensor:
    if logits.shape[2:] == size:
        return logits
    # A class that a member excludes, with -inf, stays excluded wherever it had a share.
    enlarged = F.interpolate(at_least(logits), size=size, mode="bilinear", align_corners=False)
    return snap_excluded(enlarged)
