"""The backbone inside a network, and what the published network calls its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import timm
from torch import nn

from segdistill.models.backbone import Backbone, published_shapes
from segdistill.models.checkpoints.loading import load_backbone, shapes
from segdistill.models.checkpoints.matching import Shapes
from segdistill.models.checkpoints.reading import Checkpoint
from segdistill.models.checkpoints.record import Loaded
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.networks.mobilenetv2plus import EveryStage
from segdistill.models.segmenter import Segmenter

# What segmentation-models-pytorch and torchvision call it.
_FOREIGN = ("encoder", "backbone")


@dataclass(frozen=True)
class BackbonePart:
    """A backbone that weights can be loaded into.

    Attributes:
        module: what is filled.
        owner: what messages call it.
        names: what the published network calls each of its tensors.
        reference: shapes of the published network in the order of its layers.
    """

    module: nn.Module
    owner: str
    names: Mapping[str, str]
    reference: Shapes


def fill_backbone(network: nn.Module, checkpoint: Checkpoint, name: str) -> Loaded:
    """Load a file into the backbone of a network; head and classifier keep their values.

    Args:
        network: of a row of ``NETWORKS`` or ``SOURCES``.
        checkpoint: weights of the whole published network, or of its backbone.
        name: of the network, for messages.

    Raises:
        ValueError: the network has no backbone.
        CheckpointError: the file does not fit.
    """
    part = find_backbone(network)
    if part is None:
        raise ValueError(
            f"network {name}: expected a network on a backbone for backbone_weights, got one "
            "without; give the file of a whole network under weights"
        )
    return load_backbone(
        part.module,
        checkpoint,
        names=part.names,
        reference=part.reference,
        owner=part.owner,
    )


def find_backbone(network: nn.Module) -> BackbonePart | None:
    """Return the backbone of a network, or None if it has none."""
    trunk = network.backbone if isinstance(network, Segmenter) else None
    if isinstance(trunk, Backbone):
        reference = published_shapes(trunk.name)
        return _part(trunk.body, f"backbone {trunk.name}", reference)
    if isinstance(trunk, EveryStage):
        reference = published_shapes(trunk.published)
        names = {name: trunk.published_name(name) for name in shapes(trunk)}
        return BackbonePart(trunk, f"backbone {trunk.published}", names, reference)
    if isinstance(network, Adapter):
        for path in _FOREIGN:
            module = getattr(network.network, path, None)
            if isinstance(module, nn.Module):
                name = str(getattr(module, "name", ""))
                known = bool(name) and timm.is_model(name)
                reference = published_shapes(name) if known else shapes(module)
                return _part(module, f"{path} {name}".rstrip(), reference)
    return None


def _part(module: nn.Module, owner: str, reference: Shapes) -> BackbonePart:
    """Find each tensor of a backbone under the name that it has in the whole network.

    timm flattens modules when it cuts a backbone (``stages.0`` becomes ``stages_0``) or wraps
    it (``model.blocks.0``).
    """
    published = {_flat(name): name for name in reference}
    names = {name: published.get(_flat(name), name) for name in shapes(module)}
    return BackbonePart(module, owner, names, reference)


def _flat(name: str) -> str:
    return name.removeprefix("model.").replace("_", ".")
