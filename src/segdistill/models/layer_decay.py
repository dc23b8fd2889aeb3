"""Layer decay: factors of the learning rate that fall from the head to the first layer."""

from __future__ import annotations

import torch
from timm.models import group_parameters
from torch import nn

from segdistill.models.backbone import Backbone, whole_network
from segdistill.models.segmenter import Segmenter


def layer_scales(network: nn.Module, decay: float) -> dict[str, float]:
    r"""Return the factor of each parameter of a network's backbone.

    Of :math:`L` layers behind one another, as timm counts those of the whole network that the
    backbone is cut from, layer :math:`l` gets :math:`d^{L - l}`. Head and classifier stand for
    the last, with the factor 1.

    Args:
        network: with a backbone of timm's.
        decay: :math:`d`.

    Returns:
        Factors by the parameter's name.

    Raises:
        ValueError: the network has no backbone of timm's, or one whose layers timm does not
            count.

    Source:
        Bao et al., "BEiT", ICLR 2022, as ``timm.optim.param_groups_layer_decay`` has it.
    """
    trunk = network.backbone if isinstance(network, Segmenter) else None
    if not isinstance(trunk, Backbone):
        raise ValueError(
            "training.layer_decay: expected a network with a backbone of timm's, got "
            f"{type(network).__name__}; set training.lr_scale for its parts instead"
        )
    with torch.device("meta"):
        whole = whole_network(trunk.name)
    matcher = getattr(whole, "group_matcher", None)
    if matcher is None:
        raise ValueError(
            f"training.layer_decay: expected a backbone of counted layers, got {trunk.name}; "
            "set training.lr_scale for its parts instead"
        )
    layers = group_parameters(whole, matcher(coarse=False), reverse=True)
    last = max(layers.values())
    # timm joins the paths of its feature maps with underscores, or wraps the network.
    by_name = {_plain(name): layer for name, layer in layers.items()}
    return {
        f"backbone.{name}": decay ** (last - by_name.get(_plain(name.removeprefix("body.")), last))
        for name, _ in trunk.named_parameters()
    }


def _plain(name: str) -> str:
    return name.removeprefix("model.").replace(".", "_")
